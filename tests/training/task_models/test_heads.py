"""Models that Transformers has no head for."""

import pytest

from holdfast import HoldfastError
from holdfast.records.run import RunSpec
from holdfast.records.task import TaskSpec
from holdfast.tasks.task import Task
from holdfast.training.task_models import task_model_of
from tiny import classifier

CANNOT = {"choice": "answer multiple choice", "tokens": "classify words"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("choice", "gpt2"), ("choice", "llama"), ("choice", "bart"), ("choice", "t5"), ("tokens", "bart")],
)
def test_models_without_such_a_head_are_refused(kind, name, tmp_path):
    classifier(name).config.save_pretrained(tmp_path)
    task = Task("given", kind, {}, ("a", "b"), ("accuracy",), fingerprint="f")
    spec = RunSpec(model=str(tmp_path), method="vanilla", seed=0, data_seed=0, data="f", task=TaskSpec(source="given"))
    with pytest.raises(HoldfastError, match=f"it cannot {CANNOT[kind]}") as error:
        task_model_of(spec, task).empty()
    assert "\n" not in str(error.value)

"""Every kind of model that writes learns a few texts by heart, with R3F."""

import pytest
from writers import save, spec, split, task

from holdfast.training.run.train_run import run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bart", "t5", "gpt2", "llama", "bert"])
def test_it_learns_to_write(tmp_path, name):
    given = task(train=8, validation=split(8, 0))
    settings = {"epochs": 70, "learning_rate": 5e-3, "warmup": 0.0}
    start = save(tmp_path / "start", name)
    plan = spec(start, "r3f", settings=settings, seq2seq_from_encoder=name == "bert")
    assert run(plan, given, tmp_path, keep_model=False).metrics["rougeL"] > 0.9

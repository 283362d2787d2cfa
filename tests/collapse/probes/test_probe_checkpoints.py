"""What is refused before any checkpoint is loaded."""

import pytest
from transformers import AutoTokenizer

from holdfast.collapse.probes.cache import FeatureCache
from holdfast.collapse.probes.probe_checkpoints import ProbePlan, probe_checkpoints
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.tasks.task import Split, Task
from tiny import VOCABULARY, save_model


def test_a_tokenizer_with_more_words_than_the_model_embeds_is_refused(tmp_path):
    sources = [ModelSource(save_model(tmp_path / name, seed=seed)) for seed, name in enumerate(("start", "tuned"))]
    words = AutoTokenizer.from_pretrained(tmp_path / "tuned")
    words.add_tokens([f"new{index}" for index in range(VOCABULARY)])
    words.save_pretrained(tmp_path / "tuned")
    rows = Split(["good new96", "bad"], None, [0, 1], ["0", "1"])
    task = Task("c", "classification", {"train": rows, "test": rows}, ("a", "b"), ("accuracy",), "")
    with pytest.raises(HoldfastError, match=rf"tuned: its tokenizer has \d+ tokens and the model embeds {VOCABULARY}"):
        probe_checkpoints(sources[0], sources[1:], [task], ProbePlan(max_length=32), FeatureCache(tmp_path / "cache"))

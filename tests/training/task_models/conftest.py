"""A tiny encoder on disk, as a user has one, and its tokenizer."""

import pytest
from transformers import AutoTokenizer

from tiny import save_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tokenizer(model):
    return AutoTokenizer.from_pretrained(model)

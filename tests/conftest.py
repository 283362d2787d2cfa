"""What all tests share: one thread, tiny models of every architecture, small batches."""

import gc
import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest


def pytest_collection_finish():
    # The Trainer collects garbage whenever it ends, among all that was imported too.
    gc.collect()
    gc.freeze()


FURTHER = {"roberta", "deberta_v3", "distilbert", "electra", "modernbert", "llama", "bart"}
"""Architectures of ``tiny`` that only ``make test`` runs: an encoder, a decoder, and one with both are left."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value in FURTHER for value in parameters):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _seeded():
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=300, help="Files that the fuzz test of the readers makes.")

"""Every method on a compiled classifier."""

import pytest
import torch
from torch._dynamo.utils import counters

from holdfast import Engine, HyPe
from support.page import hold_against
from support.situations import COMPILED
from support.trying import column
from tiny import batch, classifier

pytestmark = [
    pytest.mark.slow,
    # Of PyTorch, as it traces.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


@pytest.fixture(autouse=True)
def _one_process_for_many_models():
    """Models beyond the eighth would not be compiled, without a word."""
    torch._dynamo.reset()
    counters.clear()
    limits = {"recompile_limit": 10_000, "accumulated_recompile_limit": 10_000}
    with torch._dynamo.config.patch(**limits, fail_on_recompile_limit_hit=True):
        yield


def test_every_method_works_or_is_refused(tmp_path):
    cells, failed = column(COMPILED, tmp_path)
    assert not failed, "\n".join(failed)
    assert counters["stats"]["unique_graphs"] > 0
    hold_against(COMPILED.title, cells)


def wrapped(model):
    return torch.compile(model, backend="eager")


def in_place(model):
    model.compile(backend="eager")
    return model


def partly(model):
    model.bert = torch.compile(model.bert, backend="eager")
    return model


@pytest.mark.parametrize("compiled", [wrapped, in_place, partly])
def test_hooks_run_also_where_a_model_without_them_was_compiled_before(compiled):
    """One architecture, one process: the graph of the first model is not taken for the second."""
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):
        plain = compiled(classifier("bert"))(**batch()).loss
        model = compiled(classifier("bert"))
        engine = Engine(model, [HyPe(sigma=5.0, dropout=None)], optimizer=torch.optim.SGD(model.parameters(), 0.1))
        noised = engine.loss(batch())
    assert abs(float((plain - noised).detach())) > 1e-3

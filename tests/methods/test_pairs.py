"""Every two methods together: they train and leave a plain model, or are refused while it is still untouched."""

import copy
import math
from itertools import combinations

import pytest
import torch
from torch import nn

from holdfast import Engine, HoldfastError
from holdfast.methods import catalogue
from holdfast.methods.base import Plan
from holdfast.training.session.lifecycle import checked
from method_table import TABLE
from tiny import batch, classifier, tokenizer

METHODS = {name: next(row for row in TABLE.values() if row.name == name) for name in catalogue()}
PAIRS = {first: [two for one, two in combinations(METHODS, 2) if one == first] for first in METHODS}
BASE = classifier("bert", dropout=0.1)
DATA = [batch(rows=3, tokens=6, seed=1), batch(rows=2, tokens=6, seed=2)]


def shape_of(model):
    """Everything about a model but the values of its weights."""
    modules = [
        (name, type(module), module.training, getattr(module, "p", None), "forward" in vars(module), hooks_of(module))
        for name, module in model.named_modules()
    ]
    parameters = [(name, p.shape, p.dtype, p.requires_grad) for name, p in model.named_parameters()]
    return modules, parameters, list(model.state_dict())


def hooks_of(module):
    return sum(len(hooks) for name, hooks in vars(module).items() if name.endswith("_hooks"))


def refusal(model, methods):
    """Return why the methods are refused on ``model``, or nothing."""
    try:
        checked(model, methods, Plan(2))
    except HoldfastError as error:
        return str(error)
    return ""


def check_refused(error, pair, model):
    reason = str(error)
    assert "\n" not in reason
    assert any(name in reason for name in pair), reason
    assert shape_of(model) == shape_of(BASE), reason
    for name, value in model.state_dict().items():
        assert torch.equal(value, BASE.state_dict()[name]), f"{name} was changed, then: {reason}"


def check_trains(pair, model, engine):
    def loss():
        with torch.no_grad():
            return float(model.eval()(**DATA[0]).loss)

    for given in DATA:
        found = engine.loss(given)
        assert math.isfinite(float(found.detach()))
        engine.backward(found)
        assert engine.step()
    plain = engine.plain_state_dict()
    assert list(plain) == list(BASE.state_dict())
    facts = engine.finish(lambda: -loss())
    model.train()
    assert shape_of(model) == shape_of(BASE)
    assert all(bool(value.isfinite().all()) for value in model.state_dict().values())
    assert math.isfinite(loss())
    assert all(map(math.isfinite, facts.values()))


@pytest.mark.slow
@pytest.mark.parametrize("first", METHODS)
def test_every_pair_trains_or_is_refused_with_a_reason(first):
    failed = []
    for second in PAIRS[first]:
        pair, model = (first, second), copy.deepcopy(BASE)
        try:
            methods = [METHODS[name] for name in pair]
            try:
                engine = Engine(
                    model,
                    methods,
                    optimizer=lambda p: torch.optim.AdamW(p, 1e-3),
                    total_steps=len(DATA),
                    data=DATA,
                    tokenizer=tokenizer(),
                )
            except HoldfastError as error:
                check_refused(error, pair, model)
                assert refusal(model, methods), "refused after the checks"
            else:
                check_trains(pair, model, engine)
            untouched = copy.deepcopy(BASE)
            assert bool(refusal(untouched, methods)) == bool(refusal(untouched, methods[::-1])), "the order matters"
        except Exception as error:  # noqa: BLE001 - all pairs are to be told
            at = error.__traceback__
            while at.tb_next is not None:
                at = at.tb_next
            where = f"{at.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{at.tb_lineno}"
            failed.append(f"{first}+{second}: {type(error).__name__} at {where}: {error}")
    assert not failed, "\n".join(failed)


def test_pairs_of_the_papers_methods_work():
    """That they are not all refused."""
    for second in ("mhloss", "dps"):
        assert not refusal(BASE, [METHODS["r3f"], METHODS[second]])
    assert isinstance(BASE.classifier, nn.Linear)

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest
import torch

from holdfast import DPS, R3F, R4F, ChildTuningF, Engine, HoldfastError, LoRA, Method, Vanilla
from holdfast.methods import check_combination, describe, parse, registry, split
from holdfast.methods.requires import Part, Requires
from loops import batches, train
from tiny import classifier


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vanilla", [Vanilla()]),
        (" R3F ( weight = 0.5 , noise = normal ) ", [R3F(weight=0.5, noise="normal")]),
        ("r3f(noise='normal', relative=true, every=4)", [R3F(noise="normal", relative=True, every=4)]),
        ("vanilla+r4f(head=last,sigma=0)", [Vanilla(), R4F(head="last", sigma=0.0)]),
        ("r3f()", [R3F()]),
        ("r3f(sigma=1e-3)", [R3F(sigma=1e-3)]),
    ],
)
def test_text_becomes_methods(text, expected):
    assert parse(text) == expected


def test_the_canonical_text_is_read_back_and_leaves_defaults_out():
    methods = [Vanilla(), R3F(weight=1.0, sigma=0.0, gradient="clean", relative=True)]
    assert describe(methods) == "vanilla+r3f(sigma=0.0, relative=True, gradient=clean)"
    assert parse(describe(methods)) == methods
    assert describe(parse("r3f(weight=1)")) == "r3f"


def test_split_keeps_brackets_together():
    assert split("vanilla, r3f(a=1,b=2)+x ,y(z='p,q')") == ["vanilla", "r3f(a=1,b=2)+x", "y(z='p,q')"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r3", "did you mean 'r3f'"),
        ("r3f(wieght=1)", "did you mean 'weight'"),
        ("r3f(noise=gauss)", "one of uniform, normal"),
        ("r3f(every=1.5)", "a whole number"),
        ("r3f(every=true)", "a whole number"),
        ("r3f(weight=heavy)", "a number"),
        ("r3f(relative=1)", "true or false"),
        ("r3f(0.5)", "argument=value"),
        ("r3f(weight=1, weight=2)", "given twice"),
        ("vanilla(x=1)", "vanilla takes dropout"),
        ("r3f(weight=-1)", "weight must be"),
        ("r3f+r3f", "named twice"),
        ("r3f+r4f", "same penalty"),
        ("r3f(", "no partner"),
        ("r3f)", "no partner"),
        ("r3f++vanilla", "missing"),
        ("", "missing"),
        ("r3f weight", "name or name"),
    ],
)
def test_mistakes_are_told_in_one_line(text, message):
    with pytest.raises(HoldfastError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class OwnHead(Method):
    name: ClassVar[str] = "own_head"

    @property
    def requires(self):
        return Requires(replaces={Part.HEAD})


def test_two_methods_that_replace_the_head_are_refused():
    with pytest.raises(HoldfastError, match="r4f and own_head both replace the head"):
        check_combination([R4F(), OwnHead()])
    check_combination([R3F(), OwnHead()])


def register(monkeypatch, name, value):
    entry = EntryPoint(name, value, registry.GROUP)
    monkeypatch.setattr(registry, "_registered", lambda: (entry,))


def test_other_packages_bring_methods(monkeypatch):
    register(monkeypatch, "own_head", "methods.test_parsing:OwnHead")
    monkeypatch.setattr(EntryPoint, "load", lambda self: OwnHead)
    assert parse("own_head") == [OwnHead()]


@pytest.mark.parametrize(("name", "loaded"), [("other", OwnHead), ("own_head", dict), ("r3f", R3F)])
def test_broken_registrations_are_named(monkeypatch, name, loaded):
    register(monkeypatch, name, "somewhere:Thing")
    monkeypatch.setattr(EntryPoint, "load", lambda self: loaded)
    with pytest.raises(HoldfastError, match="somewhere:Thing"):
        parse("vanilla")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (LoRA(targets="qkv"), r"lora\(targets='qkv'\): targets must be one of linear, attention"),
        (LoRA(rank=4.0), "rank must be a whole number"),
        (DPS(variant="foo"), "variant must be one of dense, mix"),
        (ChildTuningF(rescale="no"), "rescale must be true or false"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_from_python_too(method, message):
    with pytest.raises(HoldfastError, match=message):
        Engine(classifier("bert"), [method], optimizer=torch.optim.SGD)


def test_numbers_of_other_kinds_are_numbers():
    """NumPy's, and whole numbers for others, train as Python's do."""
    runs = []
    for drop, weight, every in ((np.float64(0.5), 1, np.int64(2)), (0.5, 1.0, 2)):
        torch.manual_seed(0)
        methods = [DPS(drop=drop), R3F(weight=weight, every=every)]
        engine = Engine(classifier("bert"), methods, optimizer=torch.optim.SGD, total_steps=4)
        train(engine, batches(3))
        runs.append(torch.cat([p.detach().flatten() for p in engine.model.parameters()]))
    assert torch.equal(*runs)


def test_methods_that_set_different_dropout_are_refused_together():
    with pytest.raises(HoldfastError, match=r"vanilla trains with dropout 0.1 and dps with 0.0, give both the same"):
        parse("vanilla(dropout=0.1)+dps")
    assert len(parse("vanilla(dropout=0.1)+dps(dropout=0.1)")) == len(parse("vanilla+dps")) == 2

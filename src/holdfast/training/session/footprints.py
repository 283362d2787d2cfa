"""What methods do to a model, weight by weight, found out without loading it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from holdfast.methods.base import Method, Plan
from holdfast.methods.requires import Footprint, Order


@dataclass(frozen=True)
class Weights:
    """Weights of one shape whose names differ in the numbers of their layers alone."""

    name: str
    """Parameter name, with the numbers in braces where there are several: ``layer.{0-5}.weight``."""
    shape: tuple[int, ...]
    count: int
    """How many there are."""


@dataclass(frozen=True)
class ModelFootprint:
    """What one method works on in a model of ``parameters`` parameters."""

    method: str
    footprint: Footprint
    parameters: int
    trained: tuple[int, int] | None
    """How many parameters have gradients, and how many there then are; None where the method decides nothing there."""

    @property
    def rows(self) -> list[Weights]:
        """The weights that it works on, in the order of the model; empty where it works on all."""
        return grouped([(name, tuple(weight.shape)) for name, weight in (self.footprint.weights or {}).items()])

    @property
    def weights(self) -> int:
        """How many entries, not tensors, those are."""
        return _count((self.footprint.weights or {}).values())


def footprints(methods: Sequence[Method], model: nn.Module) -> list[ModelFootprint]:
    """Return what each of ``methods`` works on in ``model``, in the order in which they act.

    ``model`` may be without memory, and is changed by the methods that decide what is trained, since others work on
    what those leave. Raises ``HoldfastError`` when a method cannot work on it.
    """
    for method in methods:
        method.check(model)
    results = []
    for method in sorted(methods, key=lambda method: method.requires.order):
        footprint, parameters, trained = method.check(model), _count(model.parameters()), None
        if method.requires.order == Order.MODEL:
            method.start(model, Plan(None))
            trained = (_count(p for p in model.parameters() if p.requires_grad), _count(model.parameters()))
        results.append(ModelFootprint(method.name, footprint, parameters, trained))
    return results


def grouped(weights: Iterable[tuple[str, tuple[int, ...]]]) -> list[Weights]:
    """Return names and shapes, those that differ in one number at a time in one row, in order of first appearance."""
    rows = [Weights(name, shape, 1) for name, shape in weights]
    most = max((len(_numbers(row.name)) for row in rows), default=0)
    for which in range(most):
        groups: dict[tuple[object, ...], list[Weights]] = {}
        for index, row in enumerate(rows):
            places = _numbers(row.name)
            pieces = row.name.split(".")
            if which < len(places):
                pieces[places[which]] = "#"
            key = (*pieces, row.shape, row.count) if which < len(places) else (index,)
            groups.setdefault(key, []).append(row)
        rows = [_joined(group, which) for group in groups.values()]
    return rows


def _joined(group: list[Weights], which: int) -> Weights:
    if len(group) == 1:
        return group[0]
    place = _numbers(group[0].name)[which]
    pieces = group[0].name.split(".")
    pieces[place] = "{" + _ranges([int(row.name.split(".")[place]) for row in group]) + "}"
    return Weights(".".join(pieces), group[0].shape, sum(row.count for row in group))


def _numbers(name: str) -> list[int]:
    """Return which of the name's pieces are numbers, or were before they were joined."""
    return [place for place, piece in enumerate(name.split(".")) if re.fullmatch(r"\d+|\{[\d,-]+\}", piece)]


def _ranges(numbers: Sequence[int]) -> str:
    """Return ``0-2,5`` for 0, 1, 2, 5."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() for tensor in {id(tensor): tensor for tensor in tensors}.values())

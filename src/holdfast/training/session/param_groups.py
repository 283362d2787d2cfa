"""What an optimizer trains, and how fast: the methods' factors of the learning rate, as parameter groups."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import MethodSession
from holdfast.methods.parts.param_groups import Group, unwrapped

FACTOR = "rate_factor"
"""Key of a group that holds by how much its learning rate was multiplied."""


def uncovered(model: nn.Module, optimizer: torch.optim.Optimizer, given: set[int]) -> str:
    """Return the name of a trainable parameter that a method made and ``optimizer`` misses; empty without one.

    ``given``: ids of the parameters before the methods prepared the model; leaving one of those out of the
    optimizer is the user's choice.
    """
    known = given | {id(p) for group in optimizer.param_groups for p in group["params"]}
    made = (name for name, p in model.named_parameters() if p.requires_grad and id(p) not in known)
    return next(made, "")


def check_covered(model: nn.Module, optimizer: torch.optim.Optimizer, given: set[int], remedy: str) -> None:
    """Raise ``HoldfastError``, naming the ``remedy``, for a parameter that is ``uncovered``."""
    if name := uncovered(model, optimizer, given):
        raise HoldfastError(f"the optimizer does not train {name}: a method made it, so {remedy}")


def is_outlived(model: nn.Module, optimizer: torch.optim.Optimizer, trained: Iterable[nn.Parameter]) -> bool:
    """Whether ``optimizer`` holds parameters ``trained`` earlier that ``model`` no longer has."""
    gone = {id(p) for p in trained} - {id(p) for p in model.parameters()}
    return any(id(p) in gone for group in optimizer.param_groups for p in group["params"])


def split_groups(optimizer: torch.optim.Optimizer, model: nn.Module, sessions: Sequence[MethodSession[Any]]) -> None:
    """Split the groups of ``optimizer`` in place so that each holds one of the factors that ``sessions`` ask for.

    Factors of several methods multiply, and multiply the rate that a group has. All else of a group is kept, and so
    is the order of its parameters: the same groups come out each time. Groups that have their factor already are
    left alone, so that it can be called again.

    Raises ``HoldfastError`` for factors that are no numbers of at least 0, an optimizer that sets its rate itself or
    does not hold the model's weights, and one that has a learning-rate schedule, which knows the groups it had.
    """
    scaling = {session.method.name: given for session in sessions if (given := session.lr_multipliers())}
    if not scaling:
        return
    names = ", ".join(scaling)
    plain = unwrapped(optimizer)
    factors = _factors(model, scaling)
    groups: list[Group] = plain.param_groups
    mine = {id(p) for p in model.parameters()}
    if not any(id(p) in mine for group in groups for p in group["params"]):
        raise HoldfastError(
            f"{names} gives parameters learning rates of their own, and the groups of {type(plain).__name__} do not "
            "hold the model's weights: use an optimizer that does, such as AdamW"
        )
    split = [part for group in groups for part in _split(group, factors)]
    if len(split) == len(groups) and all(new is old for new, old in zip(split, groups, strict=True)):
        return
    for group in groups:
        if group.get("lr") is None:
            raise HoldfastError(
                f"{names} scales learning rates, and {type(plain).__name__} sets its own: give it a learning rate"
            )
        if "initial_lr" in group:
            raise HoldfastError(
                f"{names} splits the optimizer's groups, and a learning-rate schedule was made for them before: make "
                "it later, by Engine(..., scheduler=lambda optimizer: ...) or Trainer(optimizers=(optimizer, None))"
            )
    groups[:] = split


def _factors(model: nn.Module, scaling: Mapping[str, Mapping[str, float]]) -> Mapping[int, float]:
    # Tied weights go by several names.
    named = dict(model.named_parameters(remove_duplicate=False))
    factors: dict[int, float] = {}
    for method, multipliers in scaling.items():
        given = {}
        for name, factor in multipliers.items():
            if name not in named:
                raise HoldfastError(f"{method} gives {name} a learning rate, and the model has no such parameter")
            if not (math.isfinite(factor) and factor >= 0):
                raise HoldfastError(f"{method} multiplies the learning rate of {name} by {factor}: at least 0")
            given[id(named[name])] = factor
        for key, factor in given.items():
            factors[key] = factors.get(key, 1.0) * factor
    return factors


def _split(group: Group, factors: Mapping[int, float]) -> list[Group]:
    parts: dict[float, list[int]] = {}
    for at, parameter in enumerate(group["params"]):
        parts.setdefault(factors.get(id(parameter), 1.0), []).append(at)
    done = group.get(FACTOR, 1.0)
    if set(parts) <= {done}:
        return [group]
    # The largest first: the Trainer logs the first group's rate.
    return [_part(group, parts[factor], factor, done) for factor in sorted(parts, reverse=True)]


def _part(group: Group, rows: Sequence[int], factor: float, done: float) -> Group:
    part: dict[str, Any] = {**group, FACTOR: factor}
    for key in ("params", "param_names"):
        if key in group:
            part[key] = [group[key][at] for at in rows]
    rate = group.get("lr")
    if rate is not None:
        # A tensor, where the optimizer is captured in a graph, must not be shared by the groups.
        part["lr"] = rate.clone().mul_(factor / done) if isinstance(rate, Tensor) else rate * (factor / done)
    return part

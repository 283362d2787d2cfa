"""An optimizer's parameter groups: the learning rate and the weight decay of each weight."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from holdfast.errors import HoldfastError

Group = dict[str, Any]


def by_group(
    optimizer: torch.optim.Optimizer | None, parameters: Mapping[str, nn.Parameter]
) -> list[tuple[Group, list[str]]]:
    """Return the groups that hold some of ``parameters``, with the names of those."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    groups = optimizer.param_groups if optimizer is not None else []
    found = [(group, [names[id(p)] for p in group["params"] if id(p) in names]) for group in groups]
    return [(group, held) for group, held in found if held]


def decouples(optimizer: torch.optim.Optimizer | None, group: Group) -> bool:
    """Return whether the weight decay of ``group`` is AdamW's: w -= lr * decay * w before the step."""
    default = isinstance(unwrapped(optimizer), torch.optim.AdamW)
    return bool(group.get("decoupled_weight_decay", default))


def unwrapped(optimizer: Any) -> Any:
    """Return the optimizer inside Accelerate's wrapper."""
    return getattr(optimizer, "optimizer", optimizer)


def check_stable(method: str, group: Group, argument: str, strength: float) -> None:
    """Raise ``HoldfastError`` where the pull w -= lr * ``strength`` * (w - w0) would overshoot and grow.

    With a schedule the peak learning rate is looked at from the start.
    """
    rate = max(float(group["lr"]), float(group.get("initial_lr", 0.0)))
    if rate * strength >= 2:
        raise HoldfastError(
            f"{method}({argument}={strength:g}) diverges at learning rate {rate:g}: their product is "
            f"{rate * strength:.3g} and must stay below 2, so lower one of them"
        )

"""How important the entries of the weight matrices are, told from their gradients in stage I."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.matrices import Matrix

_PENALISED_FROM = 50
"""Stage length from which the published Mix weighs scores by how often an entry was trained."""


def add_squares(sums: dict[str, Tensor], gradients: Sequence[tuple[str, Tensor]]) -> None:
    """Add the square of each gradient to the sum of its name, which is at least in float32."""
    later = [(sums[name], gradient) for name, gradient in gradients if name in sums]
    for name, gradient in gradients:
        if name not in sums:
            sums[name] = gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square()
    if later:
        into, added = (list(column) for column in zip(*later, strict=True))
        torch._foreach_addcmul_(into, added, added)


def second_moments(optimizer: Any, chosen: Sequence[Matrix]) -> dict[str, Tensor]:
    """Return Adam's second moments of ``chosen`` by name; raises ``HoldfastError`` where the optimizer keeps none."""
    states = {m.name: optimizer.state[m.weight] for m in chosen if m.weight in optimizer.state}
    if not all("exp_avg_sq" in state for state in states.values()) or not states:
        kind = type(getattr(optimizer, "optimizer", optimizer))  # in the Trainer, Accelerate's wrapper holds it
        raise HoldfastError(
            f"dps(scores=adam) reads Adam's second moments, and {kind.__name__} keeps none: use scores=accumulated"
        )
    return {name: state["exp_avg_sq"] for name, state in states.items()}


def by_frequency(scores: dict[str, Tensor], counts: Mapping[str, Tensor], length: int, in_place: bool) -> None:
    """Divide ``scores`` by the number of steps, of the ``length`` of stage I, in which each entry was trained.

    From 50 steps on they are also multiplied by exp(-count / length), as in the published Mix.
    """
    for name, count in counts.items():
        if name not in scores:
            continue
        trained = count.clamp(min=1).to(scores[name].dtype)
        weight = 1 / trained
        if length >= _PENALISED_FROM:
            weight *= torch.exp(-trained / length)
        scores[name] = scores[name].mul_(weight) if in_place else scores[name] * weight

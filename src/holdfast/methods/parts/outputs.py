"""What methods read of a forward pass, or one line that says why they cannot."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Forward


def logits_of(outputs: Mapping[str, Any] | None, method: str) -> Tensor:
    """Return the model's logits; raises ``HoldfastError``, naming ``method``, where it gave none."""
    logits = None if outputs is None else outputs.get("logits")
    if not isinstance(logits, Tensor):
        raise HoldfastError(
            f"{method} needs logits and the model returned none, as with fused losses: switch the fused loss off"
        )
    return logits


def task_loss_of(forward: Forward, method: str, purpose: str) -> Callable[[Tensor], Tensor] | None:
    """Return ``forward.task_loss``; None where the loss of the clean rows is not finite.

    Nothing can be learned from such a batch about the model, nor will the step be made. Raises ``HoldfastError``,
    naming ``method`` and the ``purpose`` ("for every head"), where the loss is not the model's own.
    """
    if forward.task_loss is not None:
        return forward.task_loss
    own = forward.outputs.get("loss")
    if own is not None and not bool(torch.isfinite(own)):
        return None
    raise other_loss(method, purpose)


def other_loss(method: str, purpose: str) -> HoldfastError:
    """Return the error for ``method``, which needs the model's own loss for ``purpose``, and does not have it."""
    return HoldfastError(
        f"{method} needs the model's own loss {purpose}, and this training has another: leave out label smoothing, "
        "compute_loss_func and a compute_loss of your own, or use a model with a standard loss"
    )

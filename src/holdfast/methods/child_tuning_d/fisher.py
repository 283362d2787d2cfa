"""Squared gradients of the loss, summed over training data: the diagonal of the empirical Fisher information."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import HoldfastError

logger = logging.getLogger(__name__)

_LOSS_SCALE = 1024.0
"""Keeps small gradients from vanishing in fp16 autocast; a power of two, so without effect on any rounding."""


def squared_gradients(
    weights: Sequence[Tensor], losses: Iterable[Tensor], max_norm: float | None, method: str
) -> list[Tensor]:
    """Return the sum over ``losses`` of the squared gradient of each of ``weights``: float32, in their shapes.

    ``max_norm``: each tensor's gradient is scaled down to this norm before it is squared. Losses whose gradient
    is not finite are left out, with a warning. Under DDP the sums are those of all processes. The weights'
    ``grad`` is cleared. Raises ``HoldfastError``, naming ``method``, when nothing was summed.
    """
    for weight in weights:
        weight.grad = None
    sums = [torch.zeros_like(weight, dtype=torch.float32, memory_format=torch.contiguous_format) for weight in weights]
    used, skipped = torch.zeros(1, device=sums[0].device), 0
    for loss in losses:
        # Not autograd.grad, which finds nothing below a reentrant checkpoint.
        (loss * _LOSS_SCALE).backward()  # type: ignore[no-untyped-call]
        finite = _add_squares(sums, weights, max_norm)
        used += finite is True
        skipped += finite is False
        # Now, as the next forward pass needs the room.
        for weight in weights:
            weight.grad = None
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        for total in [*sums, used]:
            torch.distributed.all_reduce(total)
    if not used:
        raise HoldfastError(
            f"{method} found no loss with a finite gradient in the training data: "
            "look for an empty dataset or a loss that is nan"
        )
    if skipped:
        logger.warning("%s: %d losses left out, their gradients are not finite", method, skipped)
    return sums


def _add_squares(sums: Sequence[Tensor], weights: Sequence[Tensor], max_norm: float | None) -> bool | None:
    """Add the squared gradients; return whether they are finite, None where there is no gradient."""
    pairs = [(total, w.grad.float()) for total, w in zip(sums, weights, strict=True) if w.grad is not None]
    if not pairs:
        return None
    totals, gradients = (list(column) for column in zip(*pairs, strict=True))
    torch._foreach_mul_(gradients, 1 / _LOSS_SCALE)
    norms = torch._foreach_norm(gradients)
    if not bool(torch.stack([norm.to(sums[0].device) for norm in norms]).isfinite().all()):
        return False
    if max_norm is not None:
        # As torch.nn.utils.clip_grad_norm_ of each tensor by itself.
        torch._foreach_mul_(gradients, [(max_norm / (norm + 1e-6)).clamp(max=1.0) for norm in norms])
    torch._foreach_addcmul_(totals, gradients, gradients)
    return True


def single_rows(batches: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each row of ``batches`` as a batch of its own; entries that are not by row are repeated."""
    for batch in batches:
        rows = len(batch["labels"])
        for row in range(rows):
            yield {key: value[row : row + 1] if _by_row(value, rows) else value for key, value in batch.items()}


def _by_row(value: Any, rows: int) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and len(value) == rows

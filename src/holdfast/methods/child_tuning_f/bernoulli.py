"""Gradients multiplied by independent Bernoulli draws, for all weights of a model at once."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_PIECE = 1 << 20
"""Draws made at a time: few launches on a GPU, and buffers of 6 MB that stay in a processor's cache."""
_LEVELS = 1 << 16
"""A draw compares 16 random bits with a threshold, so that a probability is met to 1 / 131 072."""
SMALLEST = 1 / _LEVELS
"""Smaller probabilities would be rounded to it, or to none."""


class BernoulliBuffers:
    """The working memory of the functions below, for gradients shaped as ``weights``."""

    def __init__(self, weights: Sequence[Tensor], device: torch.device) -> None:
        draws = _draws_at_a_time(weights)
        self.words = torch.empty(-(-draws // 4), dtype=torch.int64, device=device)
        self.factors = torch.empty(draws, dtype=torch.float32, device=device)


def buffer_bytes(weights: Sequence[Tensor]) -> int:
    """Return the bytes of the buffers for ``weights``, which may be on the meta device: 6 a draw."""
    draws = _draws_at_a_time(weights)
    return 8 * -(-draws // 4) + 4 * draws


def keep_at_random_(
    gradients: Sequence[Tensor], keep: float, scale: float, buffers: BernoulliBuffers, generator: torch.Generator
) -> None:
    """Multiply each entry of ``gradients`` by ``scale`` with probability ``keep``, else by zero, in place.

    The probability is ``keep`` rounded to a 65 536th. All tensors, and the generator, are on one device.
    """
    threshold = round(keep * _LEVELS) - _LEVELS // 2
    for group in _groups(gradients):
        sizes = [piece.numel() for piece in group]
        draws = sum(sizes)
        # All 64 bits of a word are random, four draws of 16: several times faster than drawing one by one.
        words = buffers.words[: -(-draws // 4)].random_(-(1 << 63), None, generator=generator)
        kept = words.view(torch.int16)[:draws]
        # keep = 1 is one more than the largest 16-bit number.
        kept = kept.fill_(1) if threshold >= _LEVELS // 2 else kept.lt_(threshold)
        # As numbers: a product takes a tenth of the time of a fill under a random mask on a processor.
        factors = torch.mul(kept, scale, out=buffers.factors[:draws])
        shaped = [part.view(piece.shape) for part, piece in zip(torch.split(factors, sizes), group, strict=True)]
        torch._foreach_mul_(group, shaped)


def keep_rows_at_random_(
    gradient: Tensor, keep: float, scale: float, buffers: BernoulliBuffers, generator: torch.Generator
) -> None:
    """As ``keep_at_random_``, for the gradient of an embedding, (tokens, width), most of whose rows are zero.

    Zero stays zero whatever is drawn, so nothing is drawn for it. Finding the rows waits for the device: worth it
    on a processor only.
    """
    rows = (gradient.amax(1) != 0).logical_or_(gradient.amin(1) != 0).nonzero().flatten()
    for part in torch.split(rows, max(1, _PIECE // gradient.shape[1])):
        picked = gradient.index_select(0, part)
        keep_at_random_([picked], keep, scale, buffers, generator)
        gradient.index_copy_(0, part, picked)


def _draws_at_a_time(weights: Sequence[Tensor]) -> int:
    widest = max((weight[0].numel() if weight.dim() else 1 for weight in weights if weight.numel()), default=0)
    return min(sum(weight.numel() for weight in weights), max(_PIECE, widest))


def _groups(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Gather views of ``tensors``, of up to ``_PIECE`` entries together; larger tensors are split by rows."""
    group: list[Tensor] = []
    entries = 0
    for tensor in tensors:
        whole = tensor.detach()
        if not whole.numel():
            continue
        whole = whole.unsqueeze(0) if whole.dim() == 0 else whole
        rows = max(1, _PIECE // (whole.numel() // len(whole)))
        for piece in torch.split(whole, rows):
            if group and entries + piece.numel() > _PIECE:
                yield group
                group, entries = [], 0
            group.append(piece)
            entries += piece.numel()
    if group:
        yield group

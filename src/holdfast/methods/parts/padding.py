"""Which hidden vectors belong to tokens and which to padding, and where a text ends."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast.errors import HoldfastError


def real_tokens(batch: Mapping[str, Any], hidden: Tensor, method: str) -> Tensor:
    """Return 1 for tokens and 0 for padding, (rows, tokens) in float32, for ``hidden``, (rows, tokens, width).

    ``batch``: the model's keyword arguments; without an ``attention_mask`` there is no padding. Choices of a row
    (multiple choice) are rows of their own. Raises ``HoldfastError``, naming ``method``, for a mask of another shape.
    """
    mask = batch.get("attention_mask")
    if mask is None:
        return torch.ones(hidden.shape[:2], device=hidden.device)
    if not isinstance(mask, Tensor) or mask.ndim not in (2, 3) or mask.flatten(0, -2).shape != hidden.shape[:2]:
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise HoldfastError(
            f"{method} reads the length of each text from attention_mask, which is {shape} for hidden vectors of "
            f"{tuple(hidden.shape)}: pass one of 1 for tokens and 0 for padding, of the size of input_ids"
        )
    return mask.flatten(0, -2).to(hidden.device).ne(0).float()


def is_packed(batch: Mapping[str, Any]) -> bool:
    """Return whether a row of ``batch`` holds several texts, told apart by position ids that begin anew.

    With an ``attention_mask`` position ids say nothing of that, and Transformers does not look at them either.
    """
    positions = batch.get("position_ids")
    if not isinstance(positions, Tensor) or positions.ndim != 2 or batch.get("attention_mask") is not None:
        return False
    return bool((positions.diff(dim=-1) != 1).any())


def text_lengths(batch: Mapping[str, Any], tokens: Tensor) -> Tensor:
    """Return the number of tokens of the text that each position belongs to, at least 1: of the shape of ``tokens``.

    ``tokens``: (rows, L) from ``real_tokens``. A row is one text, or in a packed batch several.
    """
    if not is_packed(batch):
        return tokens.sum(-1, keepdim=True).clamp(min=1).expand_as(tokens)
    begins = batch["position_ids"].diff(dim=-1, prepend=batch["position_ids"][:, :1] - 2) != 1
    text = begins.cumsum(-1) - 1
    counts = torch.zeros_like(tokens).scatter_add_(-1, text, tokens)
    return counts.gather(-1, text).clamp(min=1)

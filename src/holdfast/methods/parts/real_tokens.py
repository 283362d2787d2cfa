"""Which hidden vectors belong to tokens and which to padding."""

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

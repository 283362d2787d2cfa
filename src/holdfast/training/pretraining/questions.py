"""What a language model is asked, and what it should say."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

IGNORED = -100
"""The label of positions that are not asked for."""


@dataclass(frozen=True)
class Question:
    """What a language model is given, and what it should say."""

    batch: Mapping[str, Tensor]
    """The model's keyword arguments, labels apart."""
    labels: Tensor
    """(rows, positions): the token to tell at each output position, or ``IGNORED``."""


def real_tokens(batch: Mapping[str, Tensor]) -> Tensor:
    """Return (rows, tokens): true where a token is no padding, as the attention mask says; all where there is none."""
    ids, mask = batch["input_ids"], batch.get("attention_mask")
    return torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()

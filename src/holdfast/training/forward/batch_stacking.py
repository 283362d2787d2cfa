"""Several copies of a batch in one: stacked along the batch dimension, and the outputs taken apart again."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def stack(batch: Mapping[str, Any], rows: int, sizes: Sequence[int]) -> dict[str, Any]:
    """Return ``batch`` with every tensor of ``rows`` rows in copies, one after another, of its first ``sizes`` rows.

    Tensors of another first size (a shared position table, a count) and other values stay as they are.
    """
    if list(sizes) == [rows]:
        return dict(batch)
    return {
        key: torch.cat([value[:size] for size in sizes])
        if isinstance(value, Tensor) and value.ndim and len(value) == rows
        else value
        for key, value in batch.items()
    }


def unstack(outputs: Mapping[str, Any], sizes: Sequence[int]) -> list[Mapping[str, Any]]:
    """Return the outputs of each copy, of the type and with the keys of ``outputs``.

    Tensors, and tuples or lists of them, whose first size is the sum of ``sizes`` are cut; what cannot be cut
    (caches of past keys, a scalar) is left out.
    """
    total = sum(sizes)
    parts = []
    for start, size in zip(itertools.accumulate([0, *sizes]), sizes, strict=False):
        pieces = {key: cut(value, start, size, total) for key, value in outputs.items()}
        parts.append(type(outputs)(**{key: piece for key, piece in pieces.items() if piece is not None}))
    return parts


def cut(value: Any, start: int, size: int, total: int) -> Any:
    """Return ``size`` rows of a tensor of ``total`` rows, or of each in a tuple or list; None for anything else."""
    if isinstance(value, Tensor):
        return value[start : start + size] if value.ndim and len(value) == total else None
    if type(value) in (tuple, list):
        pieces = [cut(item, start, size, total) for item in value]
        return None if not pieces or any(piece is None for piece in pieces) else type(value)(pieces)
    return None

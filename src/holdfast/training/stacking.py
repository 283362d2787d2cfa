"""Several copies of a batch in one: stacked along the batch dimension, and the outputs taken apart again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def stack(batch: Mapping[str, Any], rows: int, copies: int) -> dict[str, Any]:
    """Return ``batch`` with every tensor of ``rows`` rows repeated ``copies`` times, copy after copy.

    Tensors of another first size (a shared position table, a count) and other values stay as they are.
    """
    if copies == 1:
        return dict(batch)
    return {
        key: torch.cat([value] * copies) if isinstance(value, Tensor) and value.ndim and len(value) == rows else value
        for key, value in batch.items()
    }


def unstack(outputs: Mapping[str, Any], rows: int, copies: int) -> list[Mapping[str, Any]]:
    """Return the outputs of each copy, of the type and with the keys of ``outputs``.

    Tensors, and tuples or lists of them, whose first size is ``rows * copies`` are cut; what cannot be cut
    (caches of past keys, a scalar) is left out.
    """
    parts: list[dict[str, Any]] = [{} for _ in range(copies)]
    for key, value in outputs.items():
        for copy, part in enumerate(parts):
            piece = _cut(value, copy * rows, rows, rows * copies)
            if piece is not None:
                part[key] = piece
    return [type(outputs)(**part) for part in parts]


def _cut(value: Any, start: int, rows: int, total: int) -> Any:
    if isinstance(value, Tensor):
        return value[start : start + rows] if value.ndim and len(value) == total else None
    if type(value) in (tuple, list):
        pieces = [_cut(item, start, rows, total) for item in value]
        return None if not pieces or any(piece is None for piece in pieces) else type(value)(pieces)
    return None

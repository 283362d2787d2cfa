"""Rows of a large matrix, read a span at a time."""

from __future__ import annotations

from collections.abc import Iterator

_BYTES = 1 << 20
"""What a span's temporaries may take, for them to stay in a core's cache."""
_FEWEST = 256
"""Rows below which the matrix products would be slow."""


def spans(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices that cover ``rows`` rows in order, small where rows have many ``columns``."""
    length = max(_FEWEST, _BYTES // (4 * max(1, columns)))
    for first in range(0, rows, length):
        yield slice(first, min(first + length, rows))

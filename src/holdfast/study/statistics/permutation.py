"""Exact permutation tests of a mean difference: a second opinion that assumes no normal noise."""

from collections.abc import Sequence
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

MAX_ARRANGEMENTS = 50_000
"""Largest number of relabellings listed: 9 against 9 runs, or 15 pairs. With more runs a t test is safe anyway."""


def permutation_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Two-sided exact p of the difference of means under relabelling the runs; None for too many arrangements."""
    if comb(len(a) + len(b), len(a)) > MAX_ARRANGEMENTS:
        return None
    pool = np.asarray([*a, *b], dtype=float)
    # Sums of deviations from the pooled mean stand for differences of means, and are 0 for no difference.
    pool -= pool.mean()
    chosen = np.fromiter(combinations(range(len(pool)), len(a)), dtype=np.dtype((np.int64, len(a))))
    return _share_as_extreme(pool[chosen].sum(axis=1), float(pool[: len(a)].sum()))


def sign_flip_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """The same for runs paired by seed: every gap may change its sign. None for too many arrangements."""
    if 2 ** len(a) > MAX_ARRANGEMENTS:
        return None
    gaps = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    signs = np.asarray(list(product((-1.0, 1.0), repeat=len(gaps))))
    return _share_as_extreme(signs @ gaps, float(gaps.sum()))


def _share_as_extreme(sums: NDArray[np.float64], seen: float) -> float:
    # Arrangements that give the same sum differ in the last bits; they count as equal.
    tolerance = 1e-9 * max(1.0, abs(seen))
    return float(np.mean(np.abs(sums) >= abs(seen) - tolerance))

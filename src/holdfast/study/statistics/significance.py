"""P values beside those of the t tests: exact permutations, several comparisons, interim analyses."""

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


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values in the order given. A None (not tested) stays None but counts in the family.

    Counting it keeps the other verdicts from changing when a missing run is made up for.
    Source: Holm (1979).
    """
    family = len(p_values)
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * family
    highest = 0.0
    for rank, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, (family - rank) * p))
        adjusted[index] = highest
    return adjusted


POCOCK = {2: 0.0294, 3: 0.0221, 4: 0.0182}
"""Level of each of so many declared analyses that keeps the overall error rate at 5 %. Source: Pocock (1977)."""
INFLATED = {2: 8, 3: 11, 4: 13}
"""Simulated error rate in percent after so many analyses at 5 % each: 5, 10; 5, 10, 20; 3, 5, 10, 20 seeds."""


def interim_note(analyses: int, alpha: float) -> str | None:
    """A sentence when seeds were added after an interim analysis and the level does not allow for it, else None."""
    if analyses <= 1 or alpha <= POCOCK.get(analyses, 0.0):
        return None
    if alpha == 0.05:
        over = f"about {INFLATED[analyses]}" if analyses in INFLATED else f"more than {max(INFLATED.values())}"
        rate = f"{over} % instead of 5 %"
    else:
        rate = f"more than {100 * alpha:g} %"
    return f"Looked at {analyses} times with differing numbers of runs; the error rate is {rate}."

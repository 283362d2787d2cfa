"""Expected best score of k runs."""

from collections.abc import Sequence
from math import comb


def expected_best(scores: Sequence[float], k: int) -> float:
    """Mean of the best of ``k`` runs over all ways to draw k of these runs without replacement; unbiased.

    Tells what somebody gets who trains k times and keeps the best. Drawing with replacement instead is biased
    low. Raises ValueError unless 1 <= k <= number of runs.
    """
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the number of runs ({n}), got {k}")
    ordered = sorted(scores)
    return sum(comb(i, k - 1) * score for i, score in enumerate(ordered)) / comb(n, k)

"""How often a run of one method is ahead of a run of the other."""

from collections.abc import Sequence

import numpy as np

from holdfast.study.statistics.interval import Interval
from holdfast.study.statistics.proportion import wilson


def win_probability(a: Sequence[float], b: Sequence[float]) -> float:
    """Share of all len(a) x len(b) run pairs in which ``a`` scores more, ties counted half."""
    gaps = np.subtract.outer(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def win_interval(a: Sequence[float], b: Sequence[float], alpha: float = 0.05) -> Interval:
    """Interval for the win probability: Wilson's with the smaller arm as the number of trials.

    The pairs are not independent, so len(a) x len(b) trials would claim far too much. Conservative, descriptive:
    it does not decide a verdict.
    """
    return wilson(win_probability(a, b), min(len(a), len(b)), alpha)

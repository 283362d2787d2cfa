"""Difference of two means over the same seeds."""

from collections.abc import Sequence

import numpy as np

from holdfast.study.statistics.interval import Difference
from holdfast.study.statistics.welch import floored_variance, t_difference

MIN_PAIRS = 10
"""Below 10 seeds pairing rarely pays: it halves the degrees of freedom and seeds correlate little."""


def gap_variance(a: Sequence[float], b: Sequence[float], step: float) -> float:
    """Sample variance of a[i] - b[i], at least twice that of rounding, as two scores are rounded.

    Raises ValueError for fewer than 2 pairs or lists of different lengths.
    """
    if len(a) != len(b):
        raise ValueError("paired runs need arms of equal length")
    return floored_variance([x - y for x, y in zip(a, b, strict=True)], step * 2**0.5)


def paired(a: Sequence[float], b: Sequence[float], step: float, alpha: float = 0.05) -> Difference:
    """Mean of ``a`` minus mean of ``b``, where a[i] and b[i] share their seed.

    ``step`` is the smallest change of a score. Raises ValueError as ``gap_variance``.
    """
    error = (gap_variance(a, b, step) / len(a)) ** 0.5
    return t_difference(float(np.mean(a) - np.mean(b)), error, len(a) - 1, alpha)

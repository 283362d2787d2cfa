"""Difference of two means by Welch's t, with a floor under the variances."""

from collections.abc import Sequence

import numpy as np
import scipy

from holdfast.study.statistics.interval import Difference, Interval


def floored_variance(scores: Sequence[float], step: float) -> float:
    """Sample variance (n - 1), at least that of rounding to multiples of ``step``: step squared over 12.

    A score counted on N rows moves in steps of 1/N, so runs that agree exactly still hide that much. Without
    the floor, two constant arms would have an interval of width 0 and p = 0. Raises ValueError below 2 runs.
    """
    if len(scores) < 2:
        raise ValueError("a variance needs at least 2 runs")
    if step <= 0:
        raise ValueError("the score step must be positive")
    return max(float(np.var(np.asarray(scores, dtype=float), ddof=1)), step**2 / 12)


def t_difference(estimate: float, standard_error: float, df: float, alpha: float) -> Difference:
    """The two-sided t test and (1 - alpha) interval of an estimate."""
    reach = float(scipy.stats.t.ppf(1 - alpha / 2, df)) * standard_error
    p_value = 2 * float(scipy.stats.t.sf(abs(estimate) / standard_error, df))
    return Difference(estimate, standard_error, df, p_value, Interval(estimate - reach, estimate + reach))


def welch(a: Sequence[float], b: Sequence[float], step: float, alpha: float = 0.05) -> Difference:
    """Mean of ``a`` minus mean of ``b``, runs unpaired, variances not assumed equal.

    ``step`` is the smallest change of a score. Raises ValueError when an arm has fewer than 2 runs.
    Source: Welch (1947), degrees of freedom by Satterthwaite.
    """
    part_a = floored_variance(a, step) / len(a)
    part_b = floored_variance(b, step) / len(b)
    total = part_a + part_b
    df = total**2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return t_difference(float(np.mean(a) - np.mean(b)), float(np.sqrt(total)), df, alpha)

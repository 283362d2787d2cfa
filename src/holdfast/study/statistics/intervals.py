"""Differences of means and shares, each with a confidence interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from holdfast.wording import number


@dataclass(frozen=True)
class Interval:
    """A confidence interval, ends included."""

    low: float
    high: float

    def __neg__(self) -> "Interval":
        return Interval(-self.high, -self.low)

    def __str__(self) -> str:
        """Both ends as they stand in a sentence: "−0.2 to 1.0"."""
        return f"{number(self.low)} to {number(self.high)}"

    def clip(self, bound: float) -> "Interval":
        """Cut to [-bound, bound], the differences that can occur."""
        return Interval(max(self.low, -bound), min(self.high, bound))

    def inside(self, bound: float) -> bool:
        """True when every value is smaller than ``bound`` in size, or equal to it."""
        return -bound <= self.low and self.high <= bound

    def excludes_zero(self) -> bool:
        """True when zero is not one of the values."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """A difference of two means, in points, with what a t test says of it."""

    estimate: float
    standard_error: float
    df: float
    """Degrees of freedom of the standard error."""
    p_value: float
    """Two-sided, for no difference."""
    interval: Interval


def floored_variance(scores: Sequence[float], step: float) -> float:
    """Sample variance (n - 1), at least that of rounding to multiples of ``step``: step squared over 12.

    A score counted on N rows moves in steps of 1/N, so runs that agree exactly still hide that much. Without
    the floor, two constant groups would have an interval of width 0 and p = 0. Raises ValueError below 2 runs.
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

    ``step`` is the smallest change of a score. Raises ValueError when a group has fewer than 2 runs.
    Source: Welch (1947), degrees of freedom by Satterthwaite.
    """
    part_a = floored_variance(a, step) / len(a)
    part_b = floored_variance(b, step) / len(b)
    total = part_a + part_b
    df = total**2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return t_difference(float(np.mean(a) - np.mean(b)), float(np.sqrt(total)), df, alpha)


MIN_PAIRS = 10
"""Below 10 seeds pairing rarely pays: it halves the degrees of freedom and seeds correlate little."""


def gap_variance(a: Sequence[float], b: Sequence[float], step: float) -> float:
    """Sample variance of a[i] - b[i], at least twice that of rounding, as two scores are rounded.

    Raises ValueError for fewer than 2 pairs or lists of different lengths.
    """
    if len(a) != len(b):
        raise ValueError("paired runs need groups of equal length")
    return floored_variance([x - y for x, y in zip(a, b, strict=True)], step * 2**0.5)


def paired(a: Sequence[float], b: Sequence[float], step: float, alpha: float = 0.05) -> Difference:
    """Mean of ``a`` minus mean of ``b``, where a[i] and b[i] share their seed.

    ``step`` is the smallest change of a score. Raises ValueError as ``gap_variance``.
    """
    error = (gap_variance(a, b, step) / len(a)) ** 0.5
    return t_difference(float(np.mean(a) - np.mean(b)), error, len(a) - 1, alpha)


def mean_over_tasks(
    groups: Sequence[tuple[Sequence[float], Sequence[float]]], steps: Sequence[float], alpha: float = 0.05
) -> Difference:
    """Mean over tasks of the difference of means, tasks fixed, seeds random.

    ``groups`` holds the two methods' scores for each task, ``steps`` each task's score step. The variances of
    all groups add up; degrees of freedom by Welch and Satterthwaite over all of them. Raises ValueError when a
    group has fewer than 2 runs.
    """
    differences = [float(np.mean(a) - np.mean(b)) for a, b in groups]
    terms = [
        (floored_variance(group, step) / len(group), len(group) - 1)
        for pair, step in zip(groups, steps, strict=True)
        for group in pair
    ]
    total = sum(variance for variance, _ in terms)
    df = total**2 / sum(variance**2 / runs for variance, runs in terms)
    return t_difference(float(np.mean(differences)), total**0.5 / len(groups), df, alpha)


def with_test_rows(
    difference: Difference, correct_a: NDArray[np.float64], correct_b: NDArray[np.float64], alpha: float = 0.05
) -> Difference:
    """Widen a difference in accuracy, over seeds only, to one over seeds and test rows.

    ``correct_a`` and ``correct_b`` are (runs, rows), 1 where a run is right, rows in the same order. Raises
    ValueError when the numbers of rows differ or there are fewer than 2.
    """
    if correct_a.shape[1] != correct_b.shape[1] or correct_a.shape[1] < 2:
        raise ValueError("both methods must be scored on the same 2 or more rows")
    gaps = 100 * (correct_a.mean(axis=0) - correct_b.mean(axis=0))
    rows_error = float(gaps.std(ddof=1)) / len(gaps) ** 0.5
    both = float(np.hypot(difference.standard_error, rows_error))
    df = difference.df * (both / difference.standard_error) ** 4
    return t_difference(difference.estimate, both, df, alpha)


def wilson(share: float, n: int, alpha: float = 0.05) -> Interval:
    """(1 - alpha) interval for a share seen in ``n`` trials; ``share`` need not be a multiple of 1/n.

    Never degenerate: 0 of 5 still allows 43 %. Raises ValueError for n < 1. Source: Wilson (1927).
    """
    if n < 1:
        raise ValueError("a share needs at least 1 trial")
    z = float(scipy.stats.norm.ppf(1 - alpha / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach))


def win_probability(a: Sequence[float], b: Sequence[float]) -> float:
    """Share of all len(a) x len(b) run pairs in which ``a`` scores more, ties counted half."""
    gaps = np.subtract.outer(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def win_interval(a: Sequence[float], b: Sequence[float], alpha: float = 0.05) -> Interval:
    """Interval for the win probability: Wilson's with the smaller group as the number of trials.

    The pairs are not independent, so len(a) x len(b) trials would claim far too much. Conservative, descriptive:
    it does not decide a verdict.
    """
    return wilson(win_probability(a, b), min(len(a), len(b)), alpha)

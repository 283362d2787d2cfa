"""How many seeds would settle a comparison, from the smallest difference that matters."""

from bisect import bisect_left
from collections.abc import Callable

import scipy

POWER = 0.8
SPREAD_QUANTILE = 0.2
"""The spread is raised to what is exceeded with 80 % chance had it been larger: with the plain one, plans from
few runs come true only 77 % of the time or less."""
CERTAIN = 30.0
"""Gaps of so many standard errors are found for certain; the noncentral t is not accurate out there."""


def planning_spread(variance: float, df: float) -> float:
    """Standard deviation to plan with: sqrt(variance) raised to its upper 80 % confidence bound.

    ``df`` are the degrees of freedom of ``variance``: n_A + n_B - 2 for two groups, n - 1 for seed-wise gaps.
    """
    return float((variance * df / scipy.stats.chi2.ppf(SPREAD_QUANTILE, df)) ** 0.5)


def seeds_to_settle(spread: float, delta: float, alpha: float = 0.05, at_least: int = 2, pairs: bool = False) -> int:
    """Seeds a group after which every outcome is settled, all runs counted.

    The interval's half-width is then at most ``delta``/2, so it either excludes 0 or lies inside +-delta.
    ``spread`` is the planning spread of one run or, with ``pairs``, of the gaps between paired runs.
    """

    def narrow(n: int) -> bool:
        return float(scipy.stats.t.ppf(1 - alpha / 2, _df(n, pairs))) * _error(spread, n, pairs) <= delta / 2

    return _first(narrow, max(at_least, 2))


def seeds_to_detect(spread: float, delta: float, alpha: float = 0.05, pairs: bool = False) -> int:
    """Seeds a group with which a true gap of ``delta`` is found with 80 % chance by a t test."""

    def strong(n: int) -> bool:
        df, shift = _df(n, pairs), min(delta / _error(spread, n, pairs), CERTAIN)
        return float(scipy.stats.nct.sf(scipy.stats.t.ppf(1 - alpha / 2, df), df, shift)) >= POWER

    return _first(strong, 2)


def _df(n: int, pairs: bool) -> int:
    return n - 1 if pairs else 2 * n - 2


def _error(spread: float, n: int, pairs: bool) -> float:
    return float(spread * ((1 if pairs else 2) / n) ** 0.5)


def _first(enough: Callable[[int], bool], start: int) -> int:
    """Smallest n >= start for which ``enough`` holds; once true it stays true."""
    high = start
    while not enough(high):
        high *= 2
    return start + bisect_left(range(start, high), True, key=enough)

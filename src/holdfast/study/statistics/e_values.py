"""E-values for paired differences and failed runs: tests that may be looked at after every seed.

An e-value is a likelihood ratio against "no difference": its mean is 1 at most where there is none. A sequence of them,
one after every seed, reaches 1/alpha at any time with a chance of alpha at most (Ville 1939), so a difference may be
declared at the first e >= 1/alpha, whenever and for whatever reason one looks or stops.

The differences d_i = a_i - b_i of runs that share their seed are taken as normal with mean mu and unknown standard
deviation sigma; the scores themselves need not have equal spreads. With the right-Haar prior 1/sigma the ratio depends
on the data through

    z = n g / (1 + n g) * t^2 / (nu + t^2),    t = sqrt(n) mean(d) / sd(d),    nu = n - 1,

where t^2 / (nu + t^2) = n mean(d)^2 / sum(d^2) lies between 0 and 1. So an e-value is bounded for every n; where all
differences are equal but not 0 it is the largest there is for that n, and where all are 0 it is the smallest.

It is a martingale given the t statistics so far, not given the scores (Pérez-Ortiz et al. 2024): that e reaches 1/alpha
at *some* time has a chance of alpha at most whatever one stops for, but the mean of e where one stops is only known to
be 1 at most if sigma does not enter into stopping. Nothing here averages e-values for that reason.

Sources: Wang & Ramdas 2025, *Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance*;
Johnson & Rossell 2010 for the moment prior; Vovk & Wang 2021, *E-values: calibration, combination and applications*.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import log

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from holdfast.study.statistics.intervals import Interval
from holdfast.study.statistics.prefixes import prefixes


def moment_e_values(differences: ArrayLike, delta_min: float = 1.0, step: float = 0.0) -> NDArray[np.float64]:
    """Return the moment e-value of every prefix: e = (1 + n g)^(-3/2) (1 + nu z) (1 - z)^(-(nu + 3)/2).

    The prior of the effect mu/sigma is proportional to effect^2 N(0, g) with g = delta_min^2 / 2, whose modes are
    +-``delta_min``. It is 0 at no effect, so that evidence for none grows too. In closed form from
    (1 + n g)^(-3/2) 2F1((nu + 1)/2, 3/2; 1/2; z).

    Args:
        differences: Paired differences in the order of the seeds, shape (..., N).
        delta_min: The effect to be found, in standard deviations of the differences.
        step: Smallest change of a score. It bounds the spread from below (see ``prefixes``), which only lowers e.

    Returns:
        E-values after 1, 2, ..., N seeds, shape (..., N). The first is 1 (below 1 for a 0): the size of one difference
        means nothing without a spread. Infinite where it exceeds what a float holds, after hundreds of seeds.

    Raises:
        ValueError: For differences that are not finite, none, and a ``delta_min`` that is not positive.
    """
    runs = prefixes(differences, step)
    return _exp(_log_moment(runs.n, runs.rest, _moment_g(delta_min)))


def gaussian_e_values(differences: ArrayLike, g: float = 1.0, step: float = 0.0) -> NDArray[np.float64]:
    """Return the Gaussian e-value of every prefix: e = (1 + n g)^(-1/2) (1 - z)^(-(nu + 1)/2).

    The prior of the effect mu/sigma is N(0, g): effects near 0 are likely under it, so it is later than the moment
    e-value to tell none from little. Source: Wang & Ramdas 2025, theorem 4.9 with g = c^-2.

    Args:
        differences: Paired differences in the order of the seeds, shape (..., N).
        g: Variance of the prior.
        step: As in ``moment_e_values``.

    Returns:
        E-values after 1, 2, ..., N seeds, shape (..., N), as ``moment_e_values``.

    Raises:
        ValueError: For differences that are not finite, none, and a ``g`` that is not positive.
    """
    if not 0 < g < np.inf:
        raise ValueError("the prior variance g must be positive")
    runs = prefixes(differences, step)
    n, rest = runs.n, runs.rest
    # 1 - z = (1 + n g rest) / (1 + n g), without cancellation where rest is small.
    return _exp(-n / 2 * np.log1p(n * g * rest) + (n - 1) / 2 * np.log1p(n * g))


def failure_e_value(only_a: int, only_b: int) -> float:
    """Return the e-value of the seeds with which one of two methods failed: e = 2^(a + b) B(a + 1, b + 1).

    ``only_a`` and ``only_b`` count the seeds with which only that method failed. If both fail alike, each of these is
    a fair coin; e is its likelihood ratio with a uniform prior on the coin. Seeds with which both or neither failed
    tell nothing. At level .05 it takes 8 against none. Raises ValueError for negative counts.
    """
    if min(only_a, only_b) < 0:
        raise ValueError("numbers of failed runs must not be negative")
    return float(np.exp((only_a + only_b) * np.log(2.0) + scipy.special.betaln(only_a + 1, only_b + 1)))


def holm_e_values(e_values: Sequence[float | None]) -> list[float | None]:
    """Return adjusted e-values in the order given: reject where one is at least 1/alpha.

    Step-down: the largest of K is divided by K, the next by K - 1, and none exceeds the one before. It is Holm's
    procedure with 1/e for p. Any error has a chance of alpha at most, however the comparisons depend on each other (all
    share the baseline's runs): e >= k/alpha at any time has a chance of alpha/k at most by Ville's inequality, Markov's
    where one looks once, so that 1/e is a p value (Vovk & Wang 2021, section 2), and Holm (1979) asks for no more. So
    e-values of comparisons that stopped at different times may stand together.

    A None (not tested) stays None but counts in the family, as in ``holm``. Raises ValueError for NaN and below 0.
    """
    if not all(e is None or e >= 0 for e in e_values):
        raise ValueError("e-values must be numbers and not negative")
    family = len(e_values)
    tested = sorted(((e, i) for i, e in enumerate(e_values) if e is not None), key=lambda one: -one[0])
    adjusted: list[float | None] = [None] * family
    lowest = np.inf
    for rank, (e, index) in enumerate(tested):
        lowest = min(lowest, e / (family - rank))
        adjusted[index] = lowest
    return adjusted


def moment_interval(differences: ArrayLike, delta_min: float = 1.0, alpha: float = 0.05, step: float = 0.0) -> Interval:
    """Return the confidence sequence's interval of the mean difference: means m with a moment e-value below 1/alpha.

    The e-value for m is that of the differences minus m. With a chance of 1 - alpha the true mean lies inside *all* the
    intervals of a sequence, after whatever seed one looks.

    Args:
        differences: Paired differences, shape (N,).
        delta_min: As in ``moment_e_values``, and fixed before the first run as well.
        alpha: 1 minus the confidence.
        step: As in ``moment_e_values``. Without it, differences that are all equal have an interval of width 0.

    Returns:
        From minus to plus infinity where no data of this length could exclude a mean: below 5 differences, for the
        defaults.

    Raises:
        ValueError: As ``moment_e_values``, and for an ``alpha`` that is not between 0 and 1.
    """
    runs = prefixes(differences, step)
    n = len(runs.n)
    radius = moment_radius(n, delta_min, alpha)
    mean, spread = float(runs.mean[-1]), float(runs.squares[-1] / n) ** 0.5
    # An infinite radius times a spread of 0 would be NaN.
    reach = radius * spread if radius < np.inf else np.inf
    return Interval(mean - reach, mean + reach)


def practically_equal(
    differences: ArrayLike, delta: float, delta_min: float = 1.0, alpha: float = 0.05, step: float = 0.0
) -> bool:
    """Return whether ``moment_interval`` lies inside +-``delta``, the smallest difference that matters.

    A true difference beyond +-``delta`` is ever called equal with a chance of ``alpha`` at most. ``delta`` has the unit
    of the differences, ``delta_min`` counts their standard deviations. Raises ValueError as ``moment_interval``.
    """
    return moment_interval(differences, delta_min, alpha, step).inside(delta)


@lru_cache(maxsize=4096)
def moment_radius(n: int, delta_min: float = 1.0, alpha: float = 0.05) -> float:
    """Return the half-width of ``moment_interval`` over sqrt(sum of squares / n); infinite where n is too small.

    e grows with the share of the mean in sum(d^2), so at one share it is 1/alpha, which Brent's method finds.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")
    g = _moment_g(delta_min)

    def excess(rest: float) -> float:
        return float(_log_moment(np.array(float(n)), np.array(rest), g)) + log(alpha)

    if excess(0.0) <= 0:
        return np.inf
    # rest is 1 for the mean itself, where e < 1; its small values need relative accuracy.
    rest = float(scipy.optimize.brentq(excess, 0.0, 1.0, xtol=1e-300))
    return float(((1 - rest) / rest) ** 0.5)


def _moment_g(delta_min: float) -> float:
    if not 0 < delta_min < np.inf:
        raise ValueError("delta_min must be positive")
    return delta_min**2 / 2


def _log_moment(n: NDArray[np.float64], rest: NDArray[np.float64], g: float) -> NDArray[np.float64]:
    z = n * g / (1 + n * g) * (1 - rest)
    log_e: NDArray[np.float64] = (
        (n - 1) / 2 * np.log1p(n * g) + np.log1p((n - 1) * z) - (n + 2) / 2 * np.log1p(n * g * rest)
    )
    return log_e


def _exp(log_e: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        return np.exp(log_e)

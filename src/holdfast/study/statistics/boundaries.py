"""Group-sequential boundaries: levels for paired t tests after every seed up to a cap, with the error rate as a whole.

A difference is declared at the first look whose p is at most its nominal level. With the Wang-Tsiatis shape D

    p_n = 2 (1 - Phi(z_{1 - c/2} (N / n)^(1/2 - D))),    z_q the normal quantile, N the cap,

so c is the level of the last look. D = .5 is Pocock's boundary, the same p at every look; D = 0 that of O'Brien and
Fleming, next to nothing early; D = .25 lies between and is nearly as strong at the cap as one look. They hold for no
seed after the cap, which is fixed before the first run: the price of being stronger than e-values there.

The constant c is that for which the error rate is alpha, for normal differences and any spread. It takes no
simulation: r_n = sum(d) / sqrt(n sum(d^2)), of which t is a monotone function, is a Markov chain where there is no
difference. With W = d_{n+1} / sqrt(d_1^2 + ... + d_n^2) = tan(theta),

    r_{n+1} = (sqrt(n) r_n cos(theta) + sin(theta)) / sqrt(n + 1),    density of theta ~ cos(theta)^(n - 1),

as the direction of a normal vector is independent of its length. One-dimensional integration, look by look, gives the
chance to cross.

Sources: Pocock 1977; Wang & Tsiatis 1987; Armitage, McPherson & Rowe 1969 for integrating look by look. The chain for
an unknown spread is derived here.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from holdfast.study.statistics.prefixes import prefix_p_values

POCOCK = 0.5
WANG_TSIATIS = 0.25
FIRST_LOOK = 3
"""A t test of 2 differences has 1 degree of freedom, and a level for it would be lost to the others."""
_GRID = 257
"""Values of r between which the chance to cross later is interpolated, by cubic splines in its angle."""
_NODES = 96
"""For each stretch of theta."""
_Chance = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""To cross at a later look, from each r inside the boundary of this one."""
_FAR = 8.0
"""Standard deviations of theta beyond which nothing is left."""


def nominal_levels(
    cap: int, alpha: float = 0.05, shape: float = WANG_TSIATIS, first: int = FIRST_LOOK
) -> dict[int, float]:
    """Return the level of each look, by its number of seeds: ``first``, ``first`` + 1, ..., ``cap``.

    Args:
        cap: Largest number of seeds, fixed before the first run.
        alpha: Chance of any false alarm, over all looks.
        shape: ``WANG_TSIATIS``, ``POCOCK`` or another D.
        first: Seeds of the first look.

    Raises:
        ValueError: For a first look below 2 seeds or after the cap, and an ``alpha`` that is not between 0 and 1.
    """
    levels = _levels(boundary_constant(cap, alpha, shape, first), cap, shape, first)
    return dict(zip(range(first, cap + 1), levels.tolist(), strict=True))


@lru_cache(maxsize=256)
def boundary_constant(cap: int, alpha: float = 0.05, shape: float = WANG_TSIATIS, first: int = FIRST_LOOK) -> float:
    """Return c, the level of the look at ``cap`` seeds, for which the error rate over all looks is ``alpha``.

    Found by Brent's method between Bonferroni's share and ``alpha``. Arguments and errors as for ``nominal_levels``.
    """
    if not 2 <= first <= cap:
        raise ValueError("the first look takes at least 2 seeds and at most the cap")
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1")

    def excess(c: float) -> float:
        return error_rate(_levels(c, cap, shape, first).tolist(), first) - alpha

    # A shape above Pocock's spends more at the first look than c.
    low = alpha / (cap - first + 1)
    while excess(low) >= 0:
        low /= 2
    return float(scipy.optimize.brentq(excess, low, min(1.0, alpha * (1 + 1e-6)), rtol=1e-5))


def error_rate(levels: Sequence[float], first: int = FIRST_LOOK) -> float:
    """Return the chance that any of several paired t tests rejects where there is no difference.

    ``levels`` are two-sided, for looks at ``first``, ``first`` + 1, ... seeds; 0 for one without a test. For normal
    differences it is right to about a thousandth of itself, a hundredth where levels jump: the chance has a bend where
    one more difference can just cross, which nodes and splines smooth. Raises ValueError for no levels, levels outside
    [0, 1), and a first look below 2 seeds.
    """
    if first < 2:
        raise ValueError("a t test takes at least 2 seeds")
    if not levels or not all(0 <= level < 1 for level in levels):
        raise ValueError("levels must be at least 0 and below 1, and at least one of them")
    n = np.arange(first, first + len(levels))
    # 1 - r^2 follows Beta((n - 1)/2, 1/2).
    reach = np.sqrt(1 - scipy.special.betaincinv((n - 1) / 2, 0.5, np.asarray(levels, dtype=float)))
    later: _Chance = np.zeros_like
    for look in range(len(levels) - 2, -1, -1):
        angles = np.linspace(0.0, np.arcsin(reach[look]), _GRID)
        later = _interpolated(angles, _crossing(np.sin(angles), int(n[look]), float(reach[look + 1]), later))
    # At the first look the angle of r has a density ~ cos^(n - 2); twice one half of it.
    angle, weight = _nodes(np.zeros(1), np.arcsin(reach[:1]))
    density = np.cos(angle) ** (first - 2) / scipy.special.beta(0.5, (first - 1) / 2)
    return float(levels[0] + 2 * np.sum(weight * density * later(np.sin(angle))))


def _interpolated(angles: NDArray[np.float64], chances: NDArray[np.float64]) -> _Chance:
    """The chances for the sines of ``angles``, which begin at 0, and for those between; even in r."""
    spline = scipy.interpolate.CubicSpline(angles, chances, bc_type=((1, 0.0), "not-a-knot"))
    end = np.sin(angles[-1])

    def at(r: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = spline(np.arcsin(np.minimum(np.abs(r), end)))
        return values

    return at


def _crossing(r: NDArray[np.float64], n: int, reach: float, later: _Chance) -> NDArray[np.float64]:
    """The chance to cross at look n + 1, where |r| goes beyond ``reach``, or later; from each ``r`` at look n."""
    # sqrt(n) r cos(theta) + sin(theta) = amplitude sin(theta + phase): two stretches of theta stay inside.
    phase = np.arctan(np.sqrt(n) * r)
    amplitude = np.sqrt((1 + n * r**2) / (n + 1))
    turn = np.arcsin(np.minimum(1.0, reach / amplitude))
    far = min(np.pi / 2, _FAR / np.sqrt(max(n - 1, 1)))
    inside = np.zeros_like(r)
    for ends in ((-turn, turn), (np.pi - turn, np.full_like(r, np.pi))):
        theta, weight = _nodes(*(np.clip(end - phase, -far, far) for end in ends))
        density = np.cos(theta) ** (n - 1) / scipy.special.beta(0.5, n / 2)
        stays = 1 - later(amplitude[:, None] * np.sin(theta + phase[:, None]))
        inside += np.sum(weight * density * stays, axis=1)
    return 1 - inside


def _nodes(low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of Gauss and Legendre from each ``low`` to its ``high``, both (k,). Shapes (k, nodes)."""
    node, weight = _legendre(_NODES)
    half = (high - low)[:, None] / 2
    return low[:, None] + half * (1 + node), half * weight


@lru_cache
def _legendre(nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(nodes)


def _levels(c: float, cap: int, shape: float, first: int) -> NDArray[np.float64]:
    n = np.arange(first, cap + 1)
    levels: NDArray[np.float64] = 2 * scipy.stats.norm.sf(scipy.stats.norm.isf(c / 2) * (cap / n) ** (0.5 - shape))
    return levels


def first_rejection(differences: ArrayLike, levels: Mapping[int, float], step: float = 0.0) -> int | None:
    """Return the number of seeds at the first look that rejects "no difference", or None.

    Args:
        differences: Paired differences in the order of the seeds, shape (N,).
        levels: Of each look, as from ``nominal_levels``; those after N seeds are still to come.
        step: Smallest change of a score; it bounds the spread from below, as in ``prefixes``. Without it, differences
            that are all equal but not 0 are declared at the first look.

    Raises:
        ValueError: For more differences than the last look has seeds, and as ``prefixes``.
    """
    p_values = prefix_p_values(differences, step)
    if len(p_values) > max(levels):
        raise ValueError("there are more differences than the boundary's cap allows for")
    return next((n for n, level in sorted(levels.items()) if n <= len(p_values) and p_values[n - 1] <= level), None)

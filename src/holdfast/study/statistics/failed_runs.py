"""Comparing two methods when some runs failed: failures and trained runs are judged apart."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from holdfast.study.statistics.group import Group, Scale
from holdfast.study.statistics.intervals import Difference, Interval, floored_variance, welch

DRAWS = 20_000
SEED = 20_201
"""Fixed, so that the same runs always give the same interval."""
BOSCHLOO_POINTS = 64
"""Points at which Boschloo's nuisance parameter is tried: SciPy's default, 32, misses some maxima."""


@dataclass(frozen=True)
class FailedRuns:
    """Two methods of which at least one had failed runs."""

    p_value: float
    """For no difference in either part: twice the smaller p, at most 1."""
    p_failed: float
    """For equal failure rates."""
    trained: Difference | None
    """Among runs that trained; None when a group has fewer than 2 of them."""
    interval: Interval | None
    """For the difference of means counting failures; None when a group never trained or nothing shows a spread."""


def failure_rate_p(failed_a: int, n_a: int, failed_b: int, n_b: int) -> float:
    """Two-sided p for equal failure rates. Source: Boschloo (1970)."""
    if failed_a + failed_b in (0, n_a + n_b):
        return 1.0
    table = [[failed_a, failed_b], [n_a - failed_a, n_b - failed_b]]
    return min(1.0, float(scipy.stats.boschloo_exact(table, n=BOSCHLOO_POINTS).pvalue))


def compare_with_failures(a: Group, b: Group, scale: Scale, alpha: float = 0.05) -> FailedRuns:
    """The two-part rule: Boschloo on failures, Welch on trained runs, and an interval counting failures.

    Averaging failures into one t test would drown a real gap among trained runs; dropping them would favour
    the method that fails.
    """
    p_failed = failure_rate_p(a.failures, len(a), b.failures, len(b))
    both_trained = min(len(a.trained_scores), len(b.trained_scores)) >= 2
    trained = welch(a.trained_scores, b.trained_scores, scale.step, alpha) if both_trained else None
    p_trained = trained.p_value if trained else 1.0
    return FailedRuns(
        p_value=min(1.0, 2 * min(p_failed, p_trained)),
        p_failed=p_failed,
        trained=trained,
        interval=counting_failures(a, b, scale, alpha),
    )


def counting_failures(a: Group, b: Group, scale: Scale, alpha: float = 0.05) -> Interval | None:
    """Monte-Carlo interval for the difference of means when a run may fail: failure rate Beta, trained mean t.

    A group with one trained run borrows the other's spread with 1 degree of freedom. None when a group has no
    trained run, or neither has two.
    """
    trained = (len(a.trained_scores), len(b.trained_scores))
    if min(trained) == 0 or max(trained) < 2:
        return None
    # The same two groups must give the same interval, mirrored, whichever is named first.
    if sorted(a.scores) > sorted(b.scores):
        mirrored = counting_failures(b, a, scale, alpha)
        return None if mirrored is None else -mirrored
    generator = np.random.default_rng(SEED)
    gaps = _draw_means(generator, a, b, scale) - _draw_means(generator, b, a, scale)
    low, high = np.quantile(gaps, [alpha / 2, 1 - alpha / 2])
    return Interval(float(low), float(high))


def _draw_means(generator: np.random.Generator, group: Group, lender: Group, scale: Scale) -> NDArray[np.float64]:
    """Plausible means of one group, failures counted."""
    trained, failed = group.trained_scores, group.failed_scores
    spread = floored_variance(trained if len(trained) >= 2 else lender.trained_scores, scale.step) ** 0.5
    rate = generator.beta(len(failed) + 0.5, len(trained) + 0.5, DRAWS)
    error = generator.standard_t(max(len(trained) - 1, 1), DRAWS) * spread / len(trained) ** 0.5
    failed_mean = float(np.mean(failed)) if failed else scale.constant
    means: NDArray[np.float64] = rate * failed_mean + (1 - rate) * (float(np.mean(trained)) + error)
    return means

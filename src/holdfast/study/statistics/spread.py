"""Whether one method's runs scatter more than another's, pooled over tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

PERMUTATIONS = 9_999
MIN_TASKS = 4
MIN_RUNS = 20
"""Fewer runs on fewer tasks tell nothing: with 5 runs an SD ratio of 2 is found in 5 % of cases on one task."""
SEED = 20_220
"""Fixed, so that the same runs always give the same p value."""


@dataclass(frozen=True)
class SpreadRatio:
    """How the run-to-run standard deviations of two methods compare."""

    ratio: float
    """Geometric mean over tasks of the ratio of standard deviations, first method over second."""
    p_value: float
    factor: float
    """For normal noise the ratio is known only up to this factor, up or down (1 - alpha)."""


def enough_for_spread(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> bool:
    """True for at least 4 tasks with 3 runs a group, or 20 runs in every group."""
    smallest = min((len(group) for pair in groups for group in pair), default=0)
    return smallest >= (3 if len(groups) >= MIN_TASKS else MIN_RUNS)


def spread_ratio(
    groups: Sequence[tuple[Sequence[float], Sequence[float]]], steps: Sequence[float], alpha: float = 0.05
) -> SpreadRatio:
    """Compare spreads by permuting median-centred scores between the groups of each task.

    ``groups`` and ``steps`` as for ``mean_over_tasks``. The statistic is the mean over tasks of the log ratio of
    variances; it holds its level under skewed noise and failed runs, where F, Levene and centring by means do not.
    """
    generator = np.random.default_rng(SEED)
    seen = 0.0
    shuffled = np.zeros(PERMUTATIONS)
    for (a, b), step in zip(groups, steps, strict=True):
        centred = np.concatenate([np.asarray(group, dtype=float) - np.median(group) for group in (a, b)])
        seen += float(_log_ratio(centred[None, :], len(a), step)[0])
        shuffled += _log_ratio(generator.permuted(np.tile(centred, (PERMUTATIONS, 1)), axis=1), len(a), step)
    beyond = int(np.sum(np.abs(shuffled) >= abs(seen) - 1e-9))
    df_a, df_b = (sum(len(pair[group]) - 1 for pair in groups) for group in (0, 1))
    return SpreadRatio(
        ratio=float(np.exp(seen / len(groups) / 2)),
        p_value=(1 + beyond) / (1 + PERMUTATIONS),
        factor=float(scipy.stats.f.ppf(1 - alpha / 2, df_a, df_b)) ** 0.5,
    )


def _log_ratio(centred: NDArray[np.float64], first: int, step: float) -> NDArray[np.float64]:
    """Log ratio of variances of the first columns over the rest, one a row, each with the rounding floor."""
    floor = step**2 / 12
    variance_a = np.maximum(centred[:, :first].var(axis=1, ddof=1), floor)
    variance_b = np.maximum(centred[:, first:].var(axis=1, ddof=1), floor)
    ratio: NDArray[np.float64] = np.log(variance_a / variance_b)
    return ratio

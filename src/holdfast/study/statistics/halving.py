"""Successive halving: finding a method that beats the baseline, with more seeds for those that look promising.

All methods and the baseline run the first seeds. At each rung the worse half of the methods is dropped, by the mean of
their paired differences to the baseline, and the rest goes on. The numbers of methods and seeds of the rungs are fixed
before the first run. Looking at a rung may only drop a method, never declare one, so the error rate is that of the last
test alone: a method is declared where its paired t test after the *last* rung's seeds has p <= alpha / K, K being the
number of methods at the start. That a method is wrongly declared is part of "its t test after so many seeds is wrong",
whatever dropped the others; this has a chance of alpha / K, and all K together one of alpha at most (Bonferroni).

A method that was dropped has no verdict: neither worse nor equal. Source: Karnin, Koren & Somekh 2013 for the rungs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from holdfast.study.statistics.intervals import Difference, t_difference
from holdfast.study.statistics.pair import MIN_RUNS
from holdfast.study.statistics.prefixes import prefixes

FIRST_RUNG = 4
"""Seeds before any method is dropped."""


@dataclass(frozen=True)
class Rung:
    """A stage of halving, fixed before the first run."""

    methods: int
    """Methods that run in it, beside the baseline."""
    seeds: int
    """Seeds that each of them has at its end, those of earlier rungs included."""


def halving_rungs(
    methods: int, runs: int | None = None, seeds: int | None = None, first: int = FIRST_RUNG
) -> list[Rung]:
    """Return the rungs: methods halve, rounded up, and seeds double, as far as ``runs`` and ``seeds`` reach.

    The first rung has ``first`` seeds, or more where the limits allow for twice as many at every rung after it. The
    last one takes what is left. They end where not one more seed can be run, so more than one method may be a finalist.

    Args:
        methods: Number of methods, the baseline not among them.
        runs: Most runs in all, those of the baseline included.
        seeds: Most seeds of any method.
        first: Least seeds of the first rung.

    Returns:
        Rungs with fewer methods and more seeds each.

    Raises:
        ValueError: Without a limit, without methods, and where the limits do not reach the end of the first rung.
    """
    if methods < 1 or first < MIN_RUNS:
        raise ValueError(f"halving takes at least 1 method, and {MIN_RUNS} seeds for its first rung")
    if runs is None and seeds is None:
        raise ValueError("halving takes a limit: a number of runs or of seeds")
    widths = [methods]
    while widths[-1] > 1:
        widths.append((widths[-1] + 1) // 2)
    # With 1 seed in the first rung, so many in each of the others, and so many runs.
    added = [1, *(2**rung for rung in range(len(widths) - 1))]
    unit = sum((width + 1) * new for width, new in zip(widths, added, strict=True))
    fits = [runs // unit if runs is not None else None, seeds // sum(added) if seeds is not None else None]
    start = max(first, min(fit for fit in fits if fit is not None))
    rungs: list[Rung] = []
    reached, left = 0, runs
    for rung, width in enumerate(widths):
        goals = [] if rung == len(widths) - 1 else [start * 2**rung]
        if seeds is not None:
            goals.append(seeds)
        if left is not None:
            goals.append(reached + left // (width + 1))
        goal = min(goals)
        if rung == 0 and goal < first:
            raise ValueError(
                f"{methods} methods and the baseline take {(methods + 1) * first} runs, {first} seeds each"
            )
        if goal <= reached:
            break
        if left is not None:
            left -= (goal - reached) * (width + 1)
        reached = goal
        rungs.append(Rung(width, reached))
    return rungs


def kept_methods(differences: ArrayLike, failed: ArrayLike, keep: int) -> list[int]:
    """Return the positions of the ``keep`` methods with the largest mean difference, in the order given.

    A seed with which a method failed counts as lost: as the lowest difference of any run here that trained. By its own
    size, or dropped, one failed run of four would decide alone, against or for its method. Ties go to the method named
    first. A baseline that failed moves all methods alike.

    Args:
        differences: Each method's score minus the baseline's with the same seed, shape (methods, seeds). Those of
            failed runs are not read and may be NaN.
        failed: True where the method's run failed. Same shape.
        keep: Methods of the next rung.

    Raises:
        ValueError: For shapes that differ, differences of trained runs that are not finite, and a ``keep`` out of
            range.
    """
    gaps, lost = np.asarray(differences, dtype=float), np.asarray(failed, dtype=bool)
    if gaps.ndim != 2 or gaps.shape != lost.shape or gaps.shape[1] == 0:
        raise ValueError("differences and failures must both be (methods, seeds)")
    if not 1 <= keep <= len(gaps):
        raise ValueError(f"of {len(gaps)} methods {keep} cannot be kept")
    if not np.isfinite(gaps[~lost]).all():
        raise ValueError("differences of runs that trained must be finite")
    # Where no run trained, all are alike.
    means = np.where(lost, np.min(gaps[~lost], initial=np.inf), gaps).mean(axis=1)
    order = np.argsort(-means, kind="stable")
    return sorted(order[:keep].tolist())


def finalist_test(differences: Sequence[float], methods: int, alpha: float = 0.05, step: float = 0.0) -> Difference:
    """Return the one paired t test of a finalist, with the interval at alpha / ``methods``.

    It differs from the baseline where that interval excludes 0, that is p <= alpha / ``methods``.

    Args:
        differences: Paired differences of *all* the last rung's seeds, those that kept it in among them, and failed
            runs with the score they have.
        methods: Number of methods at the start, not of finalists.
        alpha: Chance of any false declaration among all of them.
        step: Smallest change of a score; it bounds the spread from below, as in ``prefixes``.

    Raises:
        ValueError: For fewer than 3 differences, no methods, and differences that are all equal where ``step`` is 0;
            as ``prefixes``.
    """
    runs = prefixes(differences, step)
    n = len(runs.n)
    if n < MIN_RUNS or methods < 1:
        raise ValueError(f"a verdict takes at least {MIN_RUNS} differences, of at least 1 method")
    if runs.squares[-1] == 0:
        raise ValueError("all differences are equal: give the score step, which bounds their spread from below")
    error = float(runs.squares[-1] / (n - 1) / n) ** 0.5
    return t_difference(float(runs.mean[-1]), error, n - 1, alpha / methods)

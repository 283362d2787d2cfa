"""A method against the baseline on one task: which form of test applies, and its numbers."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from holdfast.study.statistics.failed_runs import FailedRuns, compare_with_failures
from holdfast.study.statistics.group import Group, Scale
from holdfast.study.statistics.intervals import (
    MIN_PAIRS,
    Difference,
    Interval,
    floored_variance,
    gap_variance,
    paired,
    welch,
    win_interval,
    win_probability,
)
from holdfast.study.statistics.seeds_needed import planning_spread, seeds_to_detect, seeds_to_settle
from holdfast.study.statistics.significance import permutation_p, sign_flip_p

MIN_RUNS = 3
"""With 1 or 2 runs a group there are numbers, but no verdict."""

Form = Literal["none", "welch", "paired", "failures"]


@dataclass(frozen=True)
class Pair:
    """Everything said about a method (a) against the baseline (b) on one task. Points, a minus b."""

    a: Group
    b: Group
    form: Form
    """Which rule was used; it depends on the numbers of runs and failures only, never on the scores."""
    estimate: float | None
    """Difference of means, failures counted."""
    interval: Interval | None
    p_value: float | None
    """None below 3 runs in a group."""
    test: Difference | None
    """The t test behind ``interval``; None when runs failed."""
    failures: FailedRuns | None
    """Set for the form ``failures``."""
    win: float | None
    win_interval: Interval | None
    permutation_p: float | None
    """Exact permutation p of the same question, where it can be listed."""

    @property
    def fewest(self) -> int:
        """Runs in the smaller group."""
        return min(len(self.a), len(self.b))


def compare_groups(a: Group, b: Group, scale: Scale, alpha: float = 0.05) -> Pair:
    """Compare two groups: paired t from 10 common seeds on, Welch's t else, the two-part rule once a run failed."""
    fewest = min(len(a), len(b))
    form = _form(a, b)
    pair = Pair(
        a=a,
        b=b,
        form=form,
        estimate=float(np.mean(a.scores) - np.mean(b.scores)) if fewest else None,
        interval=None,
        p_value=None,
        test=None,
        failures=None,
        win=win_probability(a.scores, b.scores) if fewest else None,
        win_interval=win_interval(a.scores, b.scores, alpha) if fewest >= 2 else None,
        permutation_p=None,
    )
    if form == "none":
        return pair
    if form == "failures":
        failures = compare_with_failures(a, b, scale, alpha)
        trained = failures.trained
        if trained:
            failures = replace(failures, trained=replace(trained, interval=trained.interval.clip(scale.bound)))
        interval, p_value, test = failures.interval, failures.p_value, None
        second = permutation_p(a.trained_scores, b.trained_scores) if trained else None
    else:
        failures = None
        test = (paired if form == "paired" else welch)(a.scores, b.scores, scale.step, alpha)
        interval, p_value = test.interval, test.p_value
        second = (sign_flip_p if form == "paired" else permutation_p)(a.scores, b.scores)
    return replace(
        pair,
        interval=interval.clip(scale.bound) if interval else None,
        p_value=p_value if fewest >= MIN_RUNS else None,
        test=test,
        failures=failures,
        permutation_p=second,
    )


def _form(a: Group, b: Group) -> Form:
    if min(len(a), len(b)) < 2:
        return "none"
    if a.failures or b.failures:
        return "failures"
    return "paired" if a.seeds == b.seeds and len(a) >= MIN_PAIRS else "welch"


@dataclass(frozen=True)
class SeedPlan:
    """Seeds a group that would settle a comparison."""

    settle: int
    """After so many every outcome is decided."""
    detect: int
    """With so many a true gap of delta is found with 80 % chance."""


def plan_seeds(first: Group, second: Group, scale: Scale, delta: float, alpha: float = 0.05) -> SeedPlan | None:
    """Seeds needed, from the spread of trained runs; None when a group has fewer than 2 of them.

    Computed from ``delta``, not from the gap seen: plans made from that come true about half of the time.
    """
    a, b = first.trained_scores, second.trained_scores
    if min(len(a), len(b)) < 2:
        return None
    pairs = _form(first, second) == "paired"
    if pairs:
        spread = planning_spread(gap_variance(a, b, scale.step), len(a) - 1)
    else:
        variance = (floored_variance(a, scale.step) + floored_variance(b, scale.step)) / 2
        spread = planning_spread(variance, len(a) + len(b) - 2)
    return SeedPlan(
        settle=seeds_to_settle(spread, delta, alpha, max(len(first), len(second)), pairs),
        detect=seeds_to_detect(spread, delta, alpha, pairs),
    )

"""Statistics for few seeds: pure functions on lists of scores, in points (the metric times 100).

Which one applies when, and why, is told where each is defined; ``holdfast.study.compare_runs`` puts them together.
"""

from holdfast.study.statistics.arm import Arm, Scale
from holdfast.study.statistics.best_of import expected_best
from holdfast.study.statistics.examples import with_test_rows
from holdfast.study.statistics.failed_runs import FailedRuns, compare_with_failures, failure_rate_p
from holdfast.study.statistics.holm import holm
from holdfast.study.statistics.interval import Difference, Interval
from holdfast.study.statistics.looks import looks_note
from holdfast.study.statistics.overall import mean_over_tasks
from holdfast.study.statistics.pair import Pair, Plan, compare_arms, plan_seeds
from holdfast.study.statistics.paired import paired
from holdfast.study.statistics.permutation import permutation_p, sign_flip_p
from holdfast.study.statistics.proportion import wilson
from holdfast.study.statistics.seeds_needed import planning_spread, seeds_to_detect, seeds_to_settle
from holdfast.study.statistics.spread import SpreadRatio, enough_for_spread, spread_ratio
from holdfast.study.statistics.verdict import decide
from holdfast.study.statistics.welch import welch
from holdfast.study.statistics.win_probability import win_interval, win_probability

__all__ = [
    "Arm",
    "Difference",
    "FailedRuns",
    "Interval",
    "Pair",
    "Plan",
    "Scale",
    "SpreadRatio",
    "compare_arms",
    "compare_with_failures",
    "decide",
    "enough_for_spread",
    "expected_best",
    "failure_rate_p",
    "holm",
    "looks_note",
    "mean_over_tasks",
    "paired",
    "permutation_p",
    "plan_seeds",
    "planning_spread",
    "seeds_to_detect",
    "seeds_to_settle",
    "sign_flip_p",
    "spread_ratio",
    "welch",
    "wilson",
    "win_interval",
    "win_probability",
    "with_test_rows",
]

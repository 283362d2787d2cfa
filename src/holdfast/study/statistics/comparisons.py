"""All comparisons of a study against its baseline: verdicts, averages over tasks, and their sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from holdfast.study.statistics.group import Group, Scale
from holdfast.study.statistics.intervals import Difference, mean_over_tasks, with_test_rows
from holdfast.study.statistics.notes import examples_note, identical_note, overall_note, spread_note
from holdfast.study.statistics.pair import compare_groups
from holdfast.study.statistics.sentences import PairwiseComparison, describe
from holdfast.study.statistics.significance import holm
from holdfast.study.statistics.spread import enough_for_spread, spread_ratio
from holdfast.study.statistics.verdict import decide


@dataclass(frozen=True)
class TaskGroups:
    """What every method scored on one task."""

    task: str
    scale: Scale
    groups: Mapping[str, Group]
    per_example: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Per-example accuracy, by method: (runs, rows), 1 where a run is right."""


@dataclass(frozen=True)
class MethodMean:
    """A method's mean difference over tasks."""

    method: str
    mean: Difference
    tasks: int
    normalised: bool
    """True when the tasks' metrics have different scales, so that each was divided by the way from the best
    constant prediction to a perfect score."""


def compare_with_baseline(
    tasks: Sequence[TaskGroups], methods: Sequence[str], baseline: str, delta: float, alpha: float
) -> list[PairwiseComparison]:
    """Every method but the baseline on every task, in that order, with Holm over all of them."""
    others = [method for method in methods if method != baseline]
    compared = [
        (task, method, compare_groups(task.groups[method], task.groups[baseline], task.scale, alpha))
        for task in tasks
        for method in others
    ]
    adjusted = holm([pair.p_value for _, _, pair in compared])
    return [
        PairwiseComparison(
            task=task.task,
            method=method,
            baseline=baseline,
            scale=task.scale,
            pair=pair,
            p_adjusted=p_adjusted,
            verdict=decide(pair, p_adjusted, delta, alpha),
            family=len(compared),
            delta=delta,
            alpha=alpha,
        )
        for (task, method, pair), p_adjusted in zip(compared, adjusted, strict=True)
    ]


def average(tasks: Sequence[TaskGroups], methods: Sequence[str], baseline: str, alpha: float) -> list[MethodMean]:
    """Mean differences over the tasks on which both groups have at least 2 runs; none below 2 such tasks."""
    normalised = len({task.scale.lowest for task in tasks}) > 1
    means = []
    for method in methods:
        usable = [
            task
            for task in tasks
            if min(len(task.groups[method]), len(task.groups[baseline])) >= 2
            and not (normalised and task.scale.constant >= 100)
        ]
        if method == baseline or len(usable) < 2:
            continue
        units = [100 / (100 - task.scale.constant) if normalised else 1.0 for task in usable]
        groups = [
            tuple([score * unit for score in task.groups[name].scores] for name in (method, baseline))
            for task, unit in zip(usable, units, strict=True)
        ]
        steps = [task.scale.step * unit for task, unit in zip(usable, units, strict=True)]
        mean = mean_over_tasks([(a, b) for a, b in groups], steps, alpha)
        bound = fmean(task.scale.bound * unit for task, unit in zip(usable, units, strict=True))
        mean = replace(mean, interval=mean.interval.clip(bound))
        means.append(MethodMean(method, mean, len(usable), normalised))
    return means


def sentences(
    tasks: Sequence[TaskGroups],
    comparisons: Sequence[PairwiseComparison],
    means: Sequence[MethodMean],
    baseline: str,
    alpha: float,
    spreads: bool = True,
) -> list[str]:
    """The verdicts in words, then averages, spreads pooled over ``tasks`` where asked for, and warnings."""
    several = len(tasks) > 1
    by_name = {task.task: task for task in tasks}
    text = []
    for one in comparisons:
        text.append(describe(one, several))
        text += _over_examples(by_name[one.task], one, alpha)
    for one_mean in means:
        text.append(overall_note(one_mean.method, baseline, one_mean.mean, one_mean.tasks, one_mean.normalised, alpha))
    text += _spreads(tasks, baseline, alpha) if spreads else []
    warnings = (identical_note(task.task, method, group) for task in tasks for method, group in task.groups.items())
    return text + [warning for warning in warnings if warning]


def _over_examples(task: TaskGroups, comparison: PairwiseComparison, alpha: float) -> list[str]:
    test = comparison.pair.test
    if test is None or comparison.method not in task.per_example or comparison.baseline not in task.per_example:
        return []
    wide = with_test_rows(test, task.per_example[comparison.method], task.per_example[comparison.baseline], alpha)
    wide = replace(wide, interval=wide.interval.clip(task.scale.bound))
    return [examples_note(task.task, comparison.method, comparison.baseline, wide, alpha)]


def _spreads(tasks: Sequence[TaskGroups], baseline: str, alpha: float) -> list[str]:
    """Spread is a family of its own: one comparison a method, pooled over tasks."""
    methods = [method for method in (tasks[0].groups if tasks else ()) if method != baseline]
    compared = []
    for method in methods:
        groups = [(task.groups[method].scores, task.groups[baseline].scores) for task in tasks]
        if enough_for_spread(groups):
            compared.append((method, spread_ratio(groups, [task.scale.step for task in tasks], alpha)))
    adjusted = holm([ratio.p_value for _, ratio in compared])
    failed = {m: any(task.groups[m].failures or task.groups[baseline].failures for task in tasks) for m in methods}
    return [
        spread_note(method, baseline, ratio, p_adjusted, len(tasks), failed[method], alpha)
        for (method, ratio), p_adjusted in zip(compared, adjusted, strict=True)
    ]

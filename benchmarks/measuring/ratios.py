"""The ratio of two step times, from rounds in which both were timed next to each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import fmean, median


@dataclass(frozen=True)
class TimeRatio:
    """How much longer a method's training takes than plain fine-tuning."""

    ratio: float
    low: float
    """95 % confidence limits."""
    high: float
    rare: float
    """The part of ``ratio`` that comes from steps that do more than the usual ones."""
    start: float
    """The part that comes from before the first step."""


def median_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return a confidence interval for the median: two of the sorted ``values``, by the sign test.

    Its coverage is at least ``level`` whatever the distribution of the noise, if the values are independent. With
    less than 6 of them (at 95 %) it is as wide as they are, and covers less.
    """
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    # rank: how many values may be left out at either end.
    while rank < (n - 1) // 2 and 2 * (below + comb(n, rank) / 2**n) <= 1 - level:
        below += comb(n, rank) / 2**n
        rank += 1
    at = max(0, rank - 1)
    return ordered[at], ordered[n - 1 - at]


def time_ratio(
    method: Sequence[float],
    vanilla: Sequence[float],
    blocks: Sequence[range],
    hooks: Mapping[int, float],
    start: float,
    total_steps: int,
) -> TimeRatio:
    """Return the ratio of the whole trainings' times.

    ``method``, ``vanilla``: seconds of a step in each round, the mean over the round's block of steps; ``blocks``:
    which steps those were. ``hooks``: seconds of the method's hooks at each step of the training, timed apart.
    In each round, what the hooks take at the block's steps is exchanged for what they take on the average of all
    steps, so that a step that does more (a change of stages) counts as often as it comes, whether or not a block
    met one. ``start``: seconds spent before the first step.
    """
    usual = fmean(hooks.values())
    ratios = [
        (own - fmean(hooks[index] for index in block) + usual) / plain
        for own, plain, block in zip(method, vanilla, blocks, strict=True)
    ]
    step = median(vanilla)
    rare, before = (usual - median(hooks.values())) / step, start / (total_steps * step)
    low, high = median_interval(ratios)
    return TimeRatio(median(ratios) + before, low + before, high + before, rare, before)

"""Mean difference over several tasks: "on these tasks", not "on tasks like these"."""

from collections.abc import Sequence

import numpy as np

from holdfast.study.statistics.interval import Difference
from holdfast.study.statistics.welch import floored_variance, t_difference


def mean_over_tasks(
    arms: Sequence[tuple[Sequence[float], Sequence[float]]], steps: Sequence[float], alpha: float = 0.05
) -> Difference:
    """Mean over tasks of the difference of means, tasks fixed, seeds random.

    ``arms`` holds the two methods' scores for each task, ``steps`` each task's score step. The variances of
    all arms add up; degrees of freedom by Welch and Satterthwaite over all of them. Raises ValueError when an
    arm has fewer than 2 runs.
    """
    differences = [float(np.mean(a) - np.mean(b)) for a, b in arms]
    terms = [
        (floored_variance(arm, step) / len(arm), len(arm) - 1)
        for pair, step in zip(arms, steps, strict=True)
        for arm in pair
    ]
    total = sum(variance for variance, _ in terms)
    df = total**2 / sum(variance**2 / runs for variance, runs in terms)
    return t_difference(float(np.mean(differences)), total**0.5 / len(arms), df, alpha)

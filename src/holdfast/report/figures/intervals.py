"""The interval of one method's mean over seeds."""

import math
from collections.abc import Sequence

from holdfast.records.summary import TaskInfo


def mean_interval(scores: Sequence[float], alpha: float, info: TaskInfo) -> tuple[float, float, float] | None:
    """Return mean, low and high end of Student's t interval, in points; None below two scores.

    The variance is at least that of rounding to the step between two scores, and the ends stay within what the
    metric can reach.
    """
    from holdfast.study.analysis.results_grid import SIGNED_METRICS
    from holdfast.study.statistics.intervals import floored_variance, t_difference

    count = len(scores)
    if count < 2:
        return None
    mean = math.fsum(scores) / count
    error = math.sqrt(floored_variance(scores, 100 / max(info.scored_rows, 1)) / count)
    between = t_difference(mean, error, count - 1, alpha).interval
    return mean, max(between.low, -100.0 if info.metric in SIGNED_METRICS else 0.0), min(between.high, 100.0)

"""What to use on a task, from what a summary knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.records.summary import Row, Summary, TaskInfo

Reason = Literal["no run", "no baseline", "learned nothing", "better", "cheaper", "instead", "few", "alone", "baseline"]

CHEAPER = 0.9
"""Of the baseline's training time: a saving that is worth naming."""


@dataclass(frozen=True)
class Choice:
    """What to use on one task, and why.

    ``reason``: better than the baseline; as good and cheaper; ``instead`` of a baseline that did not learn; few runs;
    the only method; the baseline, as nothing was shown to be better. The first three give no method.
    """

    info: TaskInfo
    rows: tuple[Row, ...]
    reason: Reason
    row: Row | None = None
    """None where nothing can be recommended."""


def choose(summary: Summary, info: TaskInfo) -> Choice:
    """Return what to use on one task.

    A method better than the baseline, the best of them; else, of what is as good, what costs less; else the baseline.
    Nothing while no run has ended, or where the models did not learn, which is when at least half of the runs did no
    better than the best constant prediction.
    """
    rows = tuple(row for row in summary.results if row.task == info.task)
    ended = [row for row in rows if row.n]
    baseline = next((row for row in ended if row.verdict == "baseline"), None)
    learned = [row for row in ended if not _idle_half([row], info, summary)]
    better = [row for row in learned if row.verdict == "better"]
    cheaper = [row for row in learned if row.verdict == "practically equal" and (row.cost_ratio or 1.0) <= CHEAPER]

    def chosen(reason: Reason, row: Row | None = None) -> Choice:
        return Choice(info, rows, reason, row)

    if not ended:
        return chosen("no run")
    if better:
        return chosen("better", max(better, key=_mean))
    if _idle_half(ended, info, summary):
        return chosen("learned nothing")
    if baseline is None:
        return chosen("no baseline")
    if len(rows) == 1:
        return chosen("alone", baseline)
    if baseline not in learned:
        return chosen("instead", max(learned, key=_mean))
    if cheaper:
        return chosen("cheaper", min(cheaper, key=lambda row: row.cost_ratio or 1.0))
    if all(row.verdict in ("baseline", "too few runs") for row in rows):
        return chosen("few", baseline)
    return chosen("baseline", baseline)


def idle(rows: Sequence[Row], info: TaskInfo, summary: Summary) -> int:
    """Return how many runs failed or did no better than the best constant prediction."""
    return sum(
        score is not None and (seed in row.failed_seeds or score <= info.constant_score)
        for row in rows
        for seed, score in zip(summary.settings.seeds, row.scores, strict=True)
    )


def _idle_half(rows: Sequence[Row], info: TaskInfo, summary: Summary) -> bool:
    return 2 * idle(rows, info, summary) >= sum(row.n for row in rows)


def _mean(row: Row) -> float:
    return row.mean if row.mean is not None else float("-inf")

"""Whether tuning beats what takes seconds: in one line, by means alone, as references have no seeds."""

from dataclasses import dataclass

from holdfast.records.run import REFERENCE_NAMES
from holdfast.records.summary import Row, Summary, TaskInfo
from holdfast.wording import listed, number


@dataclass(frozen=True)
class _Contest:
    task: str
    reference: str
    """The best one."""
    score: float
    method: str
    """The one with the highest mean."""
    mean: float

    @property
    def beaten(self) -> bool:
        return self.mean > self.score


def beaten_references(summary: Summary) -> str:
    """Return a line on whether a method beats the best reference, task by task; empty where there is none to beat."""
    contests = [contest for info in summary.tasks if (contest := _contest(summary, info)) is not None]
    if not contests:
        return ""
    if len(contests) == 1:
        (one,) = contests
        best = f"The best reference, {one.reference}, scores {number(one.score)}"
        if one.beaten:
            return f"{best}: {one.method}, with the highest mean, beats it by {_gap(one)} points."
        return f"{best}: no method beats it, the highest mean is {number(one.mean)} ({one.method})."
    parts = []
    if won := [one for one in contests if one.beaten]:
        parts.append(f"is beaten on {listed([f'{one.task} (by {_gap(one)} points)' for one in won])}")
    if lost := [one for one in contests if not one.beaten]:
        told = [f"{one.task} ({one.reference} {number(one.score)}, {one.method} {number(one.mean)})" for one in lost]
        parts.append(f"is not beaten on {listed(told)}")
    return f"The best reference {', and '.join(parts)}."


def _contest(summary: Summary, info: TaskInfo) -> _Contest | None:
    rows = [row for row in summary.results if row.task == info.task and row.mean is not None]
    scores = {
        REFERENCE_NAMES[one.reference]: one.score
        for one in summary.references
        if one.task == info.task and one.score is not None
    }
    if not rows or not scores:
        return None
    # Of equals it is named.
    scores = {"the best constant prediction": info.constant_score, **scores}
    reference = max(scores, key=lambda name: scores[name])
    best = max(rows, key=_mean)
    return _Contest(info.task, reference, scores[reference], best.method, _mean(best))


def _mean(row: Row) -> float:
    return row.mean if row.mean is not None else float("-inf")


def _gap(contest: _Contest) -> str:
    return number(contest.mean - contest.score)

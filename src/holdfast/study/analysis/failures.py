"""Which runs trained but are useless, by rules fixed before anybody looks at scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from holdfast.records.run import WRITERS, RunRecord

DOMINANT_SHARE = 0.99
"""A classifier that puts this share of the rows into one class has collapsed."""
RARE_SHARE = 0.1
"""Where other classes are rare by nature, a collapsed run predicts fewer than this share of their rows."""
LEAST_GAIN = 0.1
"""A run must go this share of the way from the best constant prediction to the median run: below it, a run
has learned next to nothing that others did learn."""

_SAME = {
    "TokenClassifier": "nearly all words were predicted as one class",
    **dict.fromkeys(WRITERS, "the same text was written for nearly all rows"),
}
"""What a collapsed run did, by its task model, where it did not put rows into classes."""


@dataclass(frozen=True)
class Outcome:
    """One run's score, and why the run counts as failed."""

    score: float
    """Points; an undefined score counts as that of the best constant prediction."""
    reason: str | None
    """None for a run that trained."""

    @property
    def failed(self) -> bool:
        """True when the run is useless."""
        return self.reason is not None


def outcomes(records: Sequence[RunRecord], metric: str, constant: float) -> list[Outcome]:
    """Score and failure of each of the finished runs of one task, all methods together, in the order given.

    ``metric`` is the task's primary one, ``constant`` the points of the best constant prediction.
    A run failed when it diverged or its score is undefined, when it predicts one class for nearly all rows, or
    when it gained next to nothing over the best constant prediction while the median run did. Source of the
    last rule: Mosbach et al. (2021) call a run at or below the majority classifier failed.
    """
    if not records:
        return []
    values = [record.points(metric) for record in records]
    scores = [constant if value is None else value for value in values]
    gain = median(scores) - constant
    limit = constant + LEAST_GAIN * gain if gain > 0 else -math.inf
    results = []
    for record, value, score in zip(records, values, scores, strict=True):
        reason = None
        if record.diverged:
            reason = "a loss or an output was not finite"
        elif value is None:
            reason = f"{metric} is undefined"
        elif _one_class(record):
            reason = _SAME.get(record.form, "nearly all rows were predicted as one class")
        elif score <= limit:
            reason = "hardly better than a constant prediction"
        results.append(Outcome(score, reason))
    return results


def _one_class(record: RunRecord) -> bool:
    if record.dominant_share is None:
        return False
    majority = record.constant_scores.get("accuracy", 0.0)
    if majority >= 1:
        return False
    # With 1 % positives a sound classifier also predicts one class for 99 % of the rows.
    return record.dominant_share >= 1 - min(1 - DOMINANT_SHARE, RARE_SHARE * (1 - majority))

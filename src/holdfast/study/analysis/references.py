"""What references score: the rows that stand beside the methods."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import DatasetKey, RunRecord, RunSpec
from holdfast.records.summary import ReferenceRow
from holdfast.study.plan.references import FOLDS


def reference_rows(
    grid: Sequence[RunSpec],
    records: Mapping[str, RunRecord],
    names: Mapping[DatasetKey, str],
) -> list[ReferenceRow]:
    """Return a row for each reference that ended, task by task.

    Args:
        grid: All runs of the study, among them those that fit references.
        records: By run id.
        names: The tasks', by ``RunSpec.dataset_key``.
    """
    rows = [_row(records[spec.id], names) for spec in grid if spec.reference is not None and spec.id in records]
    order = list(names.values())
    return sorted(rows, key=lambda row: order.index(row.task))


def _row(record: RunRecord, names: Mapping[DatasetKey, str]) -> ReferenceRow:
    assert record.spec.reference is not None
    return ReferenceRow(
        task=names[record.spec.dataset_key],
        reference=record.spec.reference,
        score=record.points(record.primary),
        metrics={metric: record.points(metric) for metric in record.metrics},
        strength=record.facts.get("strength"),
        folds=int(record.facts.get("folds", 0)),
        seconds=record.seconds,
        note=_note(record),
    )


def _note(record: RunRecord) -> str:
    if record.status == "error":
        return f"could not be fitted ({(record.error or 'no message').rstrip('.')}); --retry-failed tries again"
    folds = int(record.facts.get("folds", 0))
    if "strength" not in record.facts:
        return "always gives the one class that the training rows have"
    if not folds:
        return "has scikit-learn's default strength, as a class has a single row to choose it by"
    if folds < FOLDS:
        return f"has its strength from {folds} folds, as there are too few rows for {FOLDS}"
    return ""

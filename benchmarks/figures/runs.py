"""The finished runs of a study folder."""

from collections import defaultdict
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord

Runs = dict[str, dict[str, list[RunRecord]]]
"""By task, then by method as text; each method's runs by seed."""


def read_runs(*studies: Path) -> Runs:
    """Return the finished runs in the folders of ``studies``. Raises ``HoldfastError`` where there is none."""
    found: Runs = defaultdict(lambda: defaultdict(list))
    for path in sorted(path for study in studies for path in study.glob("runs/*/record.json")):
        record = RunRecord.model_validate_json(path.read_text(encoding="utf-8"))
        if record.status == "finished" and record.task_name is not None:
            found[record.task_name][record.spec.method].append(record)
    if not found:
        raise HoldfastError("no finished runs were found: give the folders that holdfast compare wrote (--out)")
    for methods in found.values():
        for records in methods.values():
            records.sort(key=lambda record: record.spec.seed)
    return found


def scores(records: list[RunRecord]) -> list[float]:
    """Return the runs' scores in points, those that are defined."""
    found = [record.metrics[record.primary] for record in records if record.primary is not None]
    return [100 * score for score in found if score is not None]


def mean_term(record: RunRecord, method: str) -> float:
    """Return the mean over the logged steps of a method's part of the loss."""
    values = [entry[f"loss/{method}"] for entry in record.losses if f"loss/{method}" in entry]
    return sum(values) / len(values)

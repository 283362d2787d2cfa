"""What of a summary belongs together: the rows of a task, of a target, of a method."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import (
    InstabilityRow,
    Representation,
    Row,
    SequenceSummary,
    Summary,
    Target,
    TaskInfo,
    TransferRow,
)
from holdfast.wording import clean

PRETRAINED = "(pre-trained model)"
CONSTANT = "(best constant)"
NORMALISED = "% of the way from the best constant prediction to a perfect score"
"""Unit of means over tasks whose metrics have different scales."""
KINDS = {"ood": "out of domain", "probe": "probe"}


def rows_of(summary: Summary, task: str) -> list[Row]:
    """Return the results of one task in the summary's order."""
    return [row for row in summary.results if row.task == task]


def task_of(record: RunRecord, summary: Summary) -> str | None:
    """Return the name that ``summary`` has for a run's task, which tells its training rows where sizes differ."""
    for info in summary.tasks:
        if info.task in (record.task_name, f"{record.task_name} ({record.spec.train_size} rows)"):
            return info.task
    return None


def method_order(summary: Summary | SequenceSummary) -> dict[str, int]:
    """Return each method's place, which gives its colour and marker in every figure."""
    return {method: index for index, method in enumerate(dict.fromkeys(row.method for row in summary.results))}


def troubles(row: Row) -> list[str]:
    """Return the counts of failed and missing runs in words, such as ``1 failed``."""
    return [f"{number} {word}" for number, word in ((row.failed, "failed"), (row.missing, "missing")) if number]


def by_base(summary: Summary) -> dict[str, list[TaskInfo]]:
    """Return the summary's tasks by name, in one entry for all sizes of a task, by training rows."""
    tasks: dict[str, list[TaskInfo]] = {}
    for info in summary.tasks:
        tasks.setdefault(info.base or info.task, []).append(info)
    return {base: sorted(infos, key=lambda info: info.train_rows) for base, infos in tasks.items()}


def transfer_rows(summary: Summary, task: str, kind: str, target: str) -> list[TransferRow]:
    """Return the rows of one target of a task in the summary's order."""
    return [row for row in summary.transfer if (row.task, row.kind, row.target) == (task, kind, target)]


def targets_of(infos: Sequence[TaskInfo]) -> list[Target]:
    """Return what the models of a task, in all its sizes, are scored on: out of domain first, then probes."""
    targets = {(target.kind, target.name): target for info in infos for target in info.targets}
    return sorted(targets.values(), key=lambda target: target.kind == "probe")


def reference(infos: Sequence[TaskInfo], target: Target, summary: Summary) -> float | None:
    """Return what the pre-trained model scores on ``target`` under the same probes; None out of domain."""
    rows = [row for info in infos for row in transfer_rows(summary, info.task, target.kind, target.name)]
    return next((row.reference for row in rows if row.reference is not None), None)


def instability_rows(summary: Summary, task: str) -> list[InstabilityRow]:
    """Return the rows of one task in the summary's order."""
    return [row for row in summary.luck if row.task == task]


def layers_of(summary: Summary, task: str) -> dict[str, list[Representation]]:
    """Return each method's layers on one task, the embeddings first."""
    layers: dict[str, list[Representation]] = {}
    for row in summary.representations:
        if row.task == task:
            layers.setdefault(row.method, []).append(row)
    return {method: sorted(rows, key=lambda row: row.layer) for method, rows in layers.items()}


def last_layers(summary: Summary, task: str) -> dict[str, Representation]:
    """Return each method's last layer on one task."""
    return {method: rows[-1] for method, rows in layers_of(summary, task).items()}


def errors(summary: Summary | SequenceSummary) -> list[str]:
    """Return the runs without a result, one line for the runs of a method that share a reason."""
    seeds: dict[tuple[str, str, str], list[str]] = {}
    for error in summary.errors:
        key = (error.get("task", ""), error.get("method", ""), error.get("error", ""))
        seeds.setdefault(key, []).append(str(error.get("seed", "")))
    return [
        f"{clean(method)} on {clean(task)}, {'seed' if len(which) == 1 else 'seeds'} {clean(', '.join(which))}: "
        f"{clean(error) or 'no message'}"
        for (task, method, error), which in seeds.items()
    ]

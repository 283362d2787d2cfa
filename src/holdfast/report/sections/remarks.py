"""What a reader must be told beside the numbers: runs without a result, warnings, notes on the data."""

from collections.abc import Callable, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary, TaskInfo
from holdfast.report.block import Block
from holdfast.report.rows import KINDS, by_base, errors, targets_of
from holdfast.wording import clean


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return a block for each kind of remark that there is."""
    remarks = (
        ("Runs without a result", errors(summary)),
        ("Warnings", _lines(summary, lambda info: info.warnings)),
        ("Notes on the data", [*_lines(summary, lambda info: info.notes), *_targets(summary)]),
    )
    return [Block(title, notes=tuple(lines)) for title, lines in remarks if lines]


def _lines(summary: Summary, lines: Callable[[TaskInfo], list[str]]) -> list[str]:
    """One line each, the task named."""
    return [f"{clean(info.task)}: {clean(line)}" for info in summary.tasks for line in lines(info)]


def _targets(summary: Summary) -> list[str]:
    """What was decided about each target, one line each, task and target named."""
    return [
        f"{clean(base)}, {KINDS[target.kind]} {clean(target.name)}: {clean(note)}"
        for base, infos in by_base(summary).items()
        for target in targets_of(infos)
        for note in target.notes
    ]

"""The report of a study: its sections in the order in which they are read, a file each; figures alone share one."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Report
from holdfast.report.rows import by_base
from holdfast.report.sections import (
    answer,
    best,
    figures,
    instability,
    overall,
    published,
    reading,
    remarks,
    representation,
    results,
    transfer,
    verdicts,
)
from holdfast.wording import clean, count

SECTIONS = (
    answer.blocks,
    results.blocks,
    overall.blocks,
    verdicts.blocks,
    best.blocks,
    published.blocks,
    transfer.blocks,
    figures.every_run,
    figures.differences,
    figures.against_rows,
    figures.other_tasks,
    representation.blocks,
    figures.during_training,
    instability.blocks,
    figures.costs,
    figures.loss_curves,
    remarks.blocks,
    reading.blocks,
)
"""Each returns what it has to say of a summary and the records of its runs, an empty list for nothing."""


def study_report(summary: Summary, records: Sequence[RunRecord] = ()) -> Report:
    """Return the report of a study; ``records`` give the loss curves and on what the runs ran."""
    names = [clean(base) for base in by_base(summary)]
    return Report(
        tuple(block for section in SECTIONS for block in section(summary, records)),
        title=f"Which fine-tuning method on {', '.join(names) if len(names) <= 3 else count(len(names), 'task')}?",
        lead=_lead(summary),
        foot=f"Made by Holdfast {summary.holdfast}.",
    )


def _lead(summary: Summary) -> str:
    settings = summary.settings
    tasks = count(len(by_base(summary)), "task")
    if isinstance(settings.train_size, list):
        tasks += f" × {count(len(settings.train_size), 'size')}"
    return (
        f"{count(len(settings.methods), 'method')} × {count(len(settings.seeds), 'seed')} × {tasks}, "
        f"model {settings.model}, compared with {settings.baseline}"
        + (f". {published.SMOKE.rstrip('.')}" if summary.reproduction and summary.reproduction.smoke else "")
    )

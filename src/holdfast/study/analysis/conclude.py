"""From runs that ended to results: ``summary.json``, ``report.html`` and ``best/``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from holdfast.records.run import RunRecord, RunSpec
from holdfast.records.summary import SequenceSummary, Settings, Summary
from holdfast.study.analysis.per_example import per_example_accuracy
from holdfast.study.analysis.representations import mean_layers
from holdfast.study.analysis.reproduction import reproduce
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.prepare import StoredTask, task_names
from holdfast.study.store.atomic import write_text
from holdfast.study.store.best import Card, describe_best, place
from holdfast.study.store.interim import add_analysis
from holdfast.study.store.run_store import Store

Page = Callable[[Summary | SequenceSummary, Sequence[RunRecord], Path], None]
"""Writes the report as a page."""


@dataclass(frozen=True)
class Outputs:
    """What makes results presentable; given by the caller, since it lives on the floor above."""

    card: Card
    page: Page


def conclude(
    store: Store, study: StudyFile, stored: Sequence[StoredTask], outputs: Outputs
) -> Summary | SequenceSummary:
    """Summarise all runs of the (open) store that ended, and write everything that shows it."""
    from holdfast.study.analysis.compare import summarise
    from holdfast.study.analysis.instability import instability_rows
    from holdfast.study.analysis.sequential import summarise_sequence

    grid = store.planned()
    records = store.records()
    names = task_names(stored)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    analyses = add_analysis(store.analyses(), grid, records, names, now)
    seen = max(1, len(analyses))
    infos = [task.info for task in stored]
    settings = _settings(study, stored, grid)
    shown = list(records.values())
    summary: Summary | SequenceSummary
    if study.sequence is not None:
        summary = summarise_sequence(study, settings, infos, grid, records, seen)
    else:
        best = describe_best(store, grid, records, names)
        instability = instability_rows(store, shown, stored, settings.methods)
        shown = [record for record in shown if record.spec.role == "compared"]
        per_example = per_example_accuracy(store, shown, stored)
        layers = mean_layers(shown, stored, settings.methods)
        summary = summarise(settings, infos, grid, records, best, seen, names, per_example, instability, layers)
        summary = summary.model_copy(update={"reproduction": reproduce(study, shown)})
        place(store, best, records, summary, outputs.card)
    outputs.page(summary, shown, store.folder / "report.html")
    write_text(store.folder / "summary.json", summary.model_dump_json(indent=2) + "\n")
    # Last: an analysis counts once there is something to see.
    store.save_analyses(analyses)
    return summary


def _settings(study: StudyFile, stored: Sequence[StoredTask], grid: Sequence[RunSpec]) -> Settings:
    """Return what was asked for, in the study and by runs of the plan that compare more than it names."""
    compared = [spec for spec in grid if spec.role == "compared"]
    return Settings(
        model=study.model,
        methods=list(dict.fromkeys([*study.methods, *(spec.method for spec in compared)])),
        baseline=study.baseline or study.methods[0],
        tasks=[task.info.task for task in stored],
        seeds=list(dict.fromkeys([*study.seeds, *(spec.seed for spec in compared)])),
        delta=study.delta,
        alpha=study.alpha,
        training=study.settings.model_dump(),
        train_size=study.train_size,
    )

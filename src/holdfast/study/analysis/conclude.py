"""From runs that ended to results: ``summary.json``, ``report.html`` and ``best/``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary, Settings, Summary
from holdfast.study.analysis.per_example import correct_rows
from holdfast.study.analysis.representations import mean_layers
from holdfast.study.analysis.reproduction import reproduce
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.grid import build_grid
from holdfast.study.plan.prepare import StoredTask, fingerprints, task_names
from holdfast.study.store.atomic import write_text
from holdfast.study.store.best import Card, describe_best, place
from holdfast.study.store.looks import add_look
from holdfast.study.store.run_store import Store

Page = Callable[[Summary, Sequence[RunRecord], Path], None]
"""Writes the report as a page."""

SequencePage = Callable[[SequenceSummary, Sequence[RunRecord], Path], None]
"""Writes the report of a chain or of cycles as a page."""


@dataclass(frozen=True)
class Outputs:
    """What makes results presentable; given by the caller, since it lives on the floor above."""

    card: Card
    page: Page
    sequence_page: SequencePage


def conclude(
    store: Store, study: StudyFile, stored: Sequence[StoredTask], outputs: Outputs
) -> Summary | SequenceSummary:
    """Summarise all runs of the (open) store that ended, and write everything that shows it."""
    from holdfast.study.analysis.compare import summarise
    from holdfast.study.analysis.instability import measure_luck
    from holdfast.study.analysis.sequential import summarise_sequence

    grid = build_grid(study, fingerprints(study, stored))
    records = store.records(grid)
    names = task_names(stored)
    looks = add_look(store.looks(), grid, records, names, datetime.now(UTC).isoformat(timespec="seconds"))
    seen = max(1, len(looks))
    infos = [task.info for task in stored]
    settings = _settings(study, stored)
    if study.sequence is not None:
        sequence = summarise_sequence(study, settings, infos, grid, records, seen)
        outputs.sequence_page(sequence, list(records.values()), store.folder / "report.html")
        write_text(store.folder / "summary.json", sequence.model_dump_json(indent=2) + "\n")
        store.save_looks(looks)
        return sequence
    best = describe_best(store, grid, records, names)
    trained = [record for record in records.values() if not record.spec.untrained]
    # Runs on perturbed data say something about luck only.
    compared = [record for record in trained if record.spec.perturb is None]
    correct = correct_rows(store, compared, stored)
    luck = measure_luck(store, trained, stored, study.methods)
    layers = mean_layers(compared, stored, study.methods)
    summary = summarise(settings, infos, grid, records, best, seen, names, correct, luck, layers)
    summary = summary.model_copy(update={"reproduction": reproduce(study, compared)})
    place(store, best, records, summary, outputs.card)
    outputs.page(summary, compared, store.folder / "report.html")
    write_text(store.folder / "summary.json", summary.model_dump_json(indent=2) + "\n")
    # Last: a look counts once there is something to look at.
    store.save_looks(looks)
    return summary


def _settings(study: StudyFile, stored: Sequence[StoredTask]) -> Settings:
    return Settings(
        model=study.model,
        methods=study.methods,
        baseline=study.baseline or study.methods[0],
        tasks=[task.info.task for task in stored],
        seeds=study.seeds,
        delta=study.delta,
        alpha=study.alpha,
        training=study.settings.model_dump(),
        train_size=study.train_size,
    )

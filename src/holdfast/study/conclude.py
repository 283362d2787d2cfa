"""From runs that ended to results: ``summary.json``, ``report.html`` and ``best/``."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from holdfast.study.atomic import write_text
from holdfast.study.best import Card, describe_best, place
from holdfast.study.correct import correct_rows
from holdfast.study.grid import build_grid
from holdfast.study.looks import add_look
from holdfast.study.prepare import StoredTask, task_names
from holdfast.study.store import Store
from holdfast.study.study_file import StudyFile
from holdfast.study.summary import Settings, Summary
from holdfast.training.spec import RunRecord

Page = Callable[[Summary, Sequence[RunRecord], Path], None]
"""Writes the report as a page."""


def conclude(store: Store, study: StudyFile, stored: Sequence[StoredTask], card: Card, page: Page) -> Summary:
    """Summarise all runs of the (open) store that ended, and write everything that shows it.

    ``card`` and ``page`` write the model cards and the report; they live on the floor above.
    """
    from holdfast.study.compare import summarise
    from holdfast.study.luck import measure_luck

    grid = build_grid(study, [task.fingerprint for task in stored])
    records = store.records(grid)
    names = task_names(stored)
    looks = add_look(store.looks(), grid, records, names, datetime.now(UTC).isoformat(timespec="seconds"))
    best = describe_best(store, grid, records, names)
    infos = [task.info for task in stored]
    settings = Settings(
        model=study.model,
        methods=study.methods,
        baseline=study.baseline or study.methods[0],
        tasks=[info.task for info in infos],
        seeds=study.seeds,
        delta=study.delta,
        alpha=study.alpha,
        training=study.settings.model_dump(),
        train_size=study.train_size,
    )
    # Runs on perturbed data say something about luck only.
    compared = [record for record in records.values() if record.spec.perturb is None]
    correct = correct_rows(store, compared, stored)
    luck = measure_luck(store, list(records.values()), stored, study.methods)
    summary = summarise(settings, infos, grid, records, best, max(1, len(looks)), names, correct, luck)
    place(store, best, records, summary, card)
    page(summary, compared, store.folder / "report.html")
    write_text(store.folder / "summary.json", summary.model_dump_json(indent=2) + "\n")
    # Last: a look counts once there is something to look at.
    store.save_looks(looks)
    return summary

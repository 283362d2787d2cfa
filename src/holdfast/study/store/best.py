"""The best model of each task: kept while runs come and go, and put where the user finds it."""

import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from holdfast.records.run import DatasetKey, RunRecord, RunSpec
from holdfast.records.summary import Best, Summary
from holdfast.study.define.folders import folder_name
from holdfast.study.plan.grid import is_sequence
from holdfast.study.store.atomic import write_text
from holdfast.study.store.run_store import Store

Card = Callable[[Best, RunRecord, Summary], str]
"""Writes the text of a model card."""


def choose(store: Store, grid: Sequence[RunSpec], records: Mapping[str, RunRecord]) -> dict[DatasetKey, str]:
    """Return the best run of each task, by ``RunSpec.dataset_key``: the highest score on the split that selects.

    All metrics that may come first in a task rise with quality. Ties go to the run that comes first in the
    grid among those whose model is there, since a grid may have grown in front of a model already chosen. Runs
    that diverged or have no score are never the best, nor are those of a sequence of tasks or of another role
    than to be compared.
    """
    best: dict[DatasetKey, tuple[tuple[float, bool], str]] = {}
    if is_sequence(grid):
        return {}
    for spec in grid:
        record = records.get(spec.id)
        if spec.role != "compared" or record is None or record.status == "error":
            continue
        if record.diverged or record.selection_score is None or not math.isfinite(record.selection_score):
            continue
        rank = (record.selection_score, _model(store, spec.id).is_dir())
        held = best.get(spec.dataset_key)
        if held is None or rank > held[0]:
            best[spec.dataset_key] = (rank, spec.id)
    return {key: run for key, (_, run) in best.items()}


def prune(store: Store, grid: Sequence[RunSpec], records: Mapping[str, RunRecord]) -> None:
    """Delete the models of all runs in ``records`` that are not the best of their task and that no run goes on from."""
    keep = set(choose(store, grid, records).values())
    for spec in grid:
        record = records.get(spec.id)
        if spec.after is not None and (record is None or record.status == "error"):
            keep.add(spec.after)
    for run in records:
        if run not in keep and _model(store, run).is_dir():
            shutil.rmtree(_model(store, run))
        # A worker that was killed leaves what it would have removed.
        for leftover in ("features", "checkpoints"):
            shutil.rmtree(store.runs / run / leftover, ignore_errors=True)


def describe_best(
    store: Store, grid: Sequence[RunSpec], records: Mapping[str, RunRecord], names: Mapping[DatasetKey, str]
) -> list[Best]:
    """Return what ``best/`` is to hold, a model for each task that has one, in grid order."""
    chosen = {key: run for key, run in choose(store, grid, records).items() if _model(store, run).is_dir()}
    folders = _folders(list(names.values()), single=len(names) == 1)
    return [
        Best(
            task=names[key],
            run=run,
            method=records[run].spec.method,
            seed=records[run].spec.seed,
            selection_score=100 * (records[run].selection_score or 0.0),
            score=records[run].points(records[run].primary),
            # Selection is always by the validation split.
            optimistic=records[run].scored_split == "validation",
            path=folders[names[key]],
        )
        for key, run in chosen.items()
    ]


def place(store: Store, best: Sequence[Best], records: Mapping[str, RunRecord], summary: Summary, card: Card) -> None:
    """Put the best models, each with its card and record, at ``best/``, all at once.

    Model files are hard links to those of the run, which take no further space.
    """
    target = store.folder / "best"
    fresh, old = store.folder / ".best.partial", store.folder / ".best.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for entry in best:
        folder = fresh / Path(entry.path).relative_to("best")
        shutil.copytree(_model(store, entry.run), folder, copy_function=_link)
        write_text(folder / "README.md", card(entry, records[entry.run], summary))
        write_text(folder / "record.json", records[entry.run].model_dump_json(indent=2))
    if target.exists():
        target.rename(old)
    if fresh.exists():
        fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _model(store: Store, run: str) -> Path:
    return store.runs / run / "model"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Some file systems have no hard links.
        shutil.copy2(source, target)


def _folders(tasks: Sequence[str], single: bool) -> dict[str, str]:
    """Return where each task's model goes, relative to the study: safe as a folder's name, and different."""
    if single:
        return {tasks[0]: "best"}
    folders: dict[str, str] = {}
    for task in tasks:
        name = folder_name(task)
        while f"best/{name}" in folders.values():
            name += "-2"
        folders[task] = f"best/{name}"
    return folders

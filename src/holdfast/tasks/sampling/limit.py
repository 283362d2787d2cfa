"""Fewer rows to score, where a whole split would take too long."""

from __future__ import annotations

from dataclasses import replace

from holdfast.errors import HoldfastError
from holdfast.tasks.sampling.subset import draw_subset
from holdfast.tasks.task import Split, Task

_SEED = 0
"""One draw for all runs of all studies, so that their scores are of the same rows."""


def limit_scored(task: Task, rows: int | None) -> Task:
    """Return ``task`` with at most ``rows`` rows in every labelled split that is not trained on, told in its notes.

    That is the split that makes the score, the one that selects checkpoints, and further ones such as ``ood``. Rows
    are drawn stratified by class; those of a smaller limit are part of those of a larger. None changes nothing.

    Raises ``HoldfastError`` for fewer rows than a split has classes.
    """
    if rows is None:
        return task
    splits, notes = dict(task.splits), []
    for name, split in task.splits.items():
        if name == "train" or split.labels is None or len(split) <= rows:
            continue
        _check_room(task, name, split, rows)
        splits[name] = draw_subset(split, rows, _SEED, task.kind)
        selects = name == "validation" and task.scored_split != name
        notes.append(f"{'kept' if selects else 'scored on'} {rows} of {len(split)} {name} rows")
    return replace(task, splits=splits, notes=(*task.notes, *notes))


def _check_room(task: Task, name: str, split: Split, rows: int) -> None:
    classes = len(set(split.classes)) if task.kind == "classification" else 1
    if rows < classes:
        raise HoldfastError(
            f"{task.name}: scored_rows is {rows} and the {name} rows have {classes} classes, each of which needs a "
            f"row; give at least {classes}"
        )

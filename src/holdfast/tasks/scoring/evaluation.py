"""Tasks that models are only scored on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from holdfast.records.task import TaskSpec
from holdfast.tasks.assemble import assemble_scored, finish
from holdfast.tasks.load import generated_task, read_source
from holdfast.tasks.sampling.limit import limit_scored
from holdfast.tasks.task import Task


def load_evaluation(spec: TaskSpec, data_dir: Path | None = None) -> Task:
    """Load the rows of a task that models are scored on, by name, hub id or path; it need not have rows to train on.

    The task has one split, ``Task.scored_split``: the labelled ``test`` rows, else ``validation``; a single local
    file is the rows themselves, as ``test``. ``mnli_mm`` is MNLI's mismatched validation split. ``data_dir`` defaults
    to the environment's ``HOLDFAST_DATA``.

    Raises ``HoldfastError`` for anything that cannot be scored as it is, naming the place and the remedy.
    """
    task = generated_task(spec)
    if task is None:
        task = assemble_scored(read_source(spec, data_dir, training=False))
    else:
        task = replace(task, splits={task.scored_split: task.splits[task.scored_split]})
    return finish(limit_scored(task, spec.scored_rows))

"""``holdfast.load_task``: data read as the commands read them."""

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from holdfast.api.arguments import Data, ReadingOptions, as_arguments, check_options, naming_arguments, source
from holdfast.study.define.options import task_spec
from holdfast.tasks.load import load_task as load
from holdfast.tasks.task import Task


def load_task(data: Data, *, data_dir: str | Path | None = None, **reading: Unpack[ReadingOptions]) -> Task:
    """Read a task, a file or a folder, and return its splits as they will be learned and scored.

    What was decided while reading stands in ``notes`` of what is returned, what looks wrong in ``warnings``.

    Args:
        data: A task's name (``rte``, ``playground/negation``), a hub id (``org/name:config``), the path of a file or
            folder, or a ``holdfast.tasks.TaskSpec``.
        data_dir: Folder of the named tasks' files; None takes the environment's ``HOLDFAST_DATA``, else the hub.
        **reading: How data are read, as in ``holdfast.tasks.TaskSpec``, which says what they mean: ``text``,
            ``text_pair``, ``label``, ``kind``, ``validation``, ``test``, ``holdout``, ``size``, ``scored_rows`` and
            ``read``, such as ``{"separator": "tab"}``.

    Returns:
        The task, with at least the splits ``train`` and ``validation``.

    Raises:
        HoldfastError: For anything that cannot be trained on as it is, naming the place and the remedy.

    Example:
        >>> task = holdfast.load_task("tickets.csv", text="text", label="label")
        >>> task.label_names, len(task.splits["train"]), task.splits["train"].labels[:2]
        (('bad', 'good'), 48, [0, 1])
    """
    check_options(reading, ReadingOptions.__optional_keys__)
    with naming_arguments():
        task = load(task_spec(source(data), reading), None if data_dir is None else Path(data_dir))
    return replace(task, notes=tuple(map(as_arguments, task.notes)), warnings=tuple(map(as_arguments, task.warnings)))

"""One run, done here: whatever it raises becomes a record, and the study goes on."""

import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from holdfast.errors import HoldfastError
from holdfast.records.run import OtherTask, RunRecord, RunSpec
from holdfast.study.store.atomic import write_text
from holdfast.study.store.run_store import write_record
from holdfast.tasks.task import Task

if TYPE_CHECKING:
    from holdfast.training.run.progress import Progress

RUNNER = "holdfast.study.run.train_and_measure:run"
"""What trains and scores a run, as ``module:function``, so that a worker process can import it."""


EvalTasks = Mapping[OtherTask, Task]
"""The loaded tasks that a run is scored on beside its own."""

Runner = Callable[[RunSpec, Task, Path, Callable[["Progress"], None], EvalTasks], RunRecord]
"""Trains and scores one run in a folder and returns its record, which it does not write."""


def run_one(
    spec: RunSpec,
    task_name: str,
    folder: Path,
    load: Callable[[], Task],
    load_eval_tasks: Callable[[], EvalTasks],
    on_progress: Callable[["Progress"], None],
    runner: str | None = None,
) -> RunRecord:
    """Do a run in ``folder`` and write its record there, and ``error.txt`` when it raised.

    ``load`` gives the task, ``load_eval_tasks`` those it is scored on beside it; data that changed since the study
    began are an error. ``runner`` stands in for ``RUNNER``.
    """
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    try:
        task = load()
        if task.fingerprint != spec.data:
            raise _changed(task_name)
        eval_tasks = load_eval_tasks()
        for target in (*spec.ood, *spec.probed):
            if eval_tasks[target].fingerprint != target.data:
                raise _changed(target.task.source)
        record = import_runner(runner or RUNNER)(spec, task, folder, on_progress, eval_tasks)
    except Exception as error:  # noqa: BLE001 - one run's failure, of whatever kind, must not cost the study
        write_text(folder / "error.txt", traceback.format_exc())
        record = RunRecord(
            id=spec.id,
            spec=spec,
            status="error",
            error=_one_line(error),
            task_name=task_name,
            started=started,
            seconds=time.perf_counter() - clock,
        )
    write_record(folder, record)
    return record


def import_runner(runner: str) -> Runner:
    """Return the function that ``module:function`` names."""
    module, _, name = runner.partition(":")
    return cast(Runner, getattr(import_module(module), name))


def _changed(task: str) -> HoldfastError:
    return HoldfastError(f"the rows of task {task} have changed since the study began; restore them")


def _one_line(error: Exception) -> str:
    text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, HoldfastError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

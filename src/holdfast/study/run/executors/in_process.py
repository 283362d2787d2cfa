"""Runs one after the other in this process: nothing to start, nothing that protects it from a crash."""

from collections.abc import Sequence

from holdfast.records.run import RunSpec
from holdfast.study.plan.targets import LoadedTasks, eval_tasks_of
from holdfast.study.run.executors.base import ExecutorCallback
from holdfast.study.run.executors.environment import use_threads
from holdfast.study.run.run_one import run_one
from holdfast.study.store.run_store import Store


class InProcess:
    """An executor that runs here, on the tasks already loaded."""

    slots = 1

    def __init__(self, tasks: LoadedTasks, threads: int | None = None, runner: str | None = None) -> None:
        self.tasks = tasks
        self.threads = threads
        self.runner = runner

    def execute(self, specs: Sequence[RunSpec], store: Store, callback: ExecutorCallback) -> None:
        """Do all runs in turn."""
        use_threads(self.threads)
        for spec in specs:
            self._run(spec, store, callback)

    def close(self) -> None:
        """Keep nothing, as there is nothing."""

    def _run(self, spec: RunSpec, store: Store, callback: ExecutorCallback) -> None:
        folder = store.begin(spec)
        callback.started(spec)
        task = self.tasks[spec.task]
        record = run_one(
            spec,
            task.name,
            folder,
            lambda: task,
            lambda: eval_tasks_of(spec, self.tasks),
            lambda progress: callback.moved(spec, progress.step, progress.total, progress.phase, progress.loss),
            self.runner,
        )
        callback.ended(record)

"""Runs one after the other in this process: nothing to start, nothing that protects it from a crash."""

from collections.abc import Sequence

from holdfast.records.run import RunSpec
from holdfast.study.plan.targets import Elsewhere, elsewhere_of
from holdfast.study.run.executors.base import Watch
from holdfast.study.run.executors.environment import use_threads
from holdfast.study.run.run_one import perform
from holdfast.study.store.run_store import Store


class InProcess:
    """An executor that runs here, on the tasks already loaded."""

    slots = 1

    def __init__(self, tasks: Elsewhere, threads: int | None = None, runner: str | None = None) -> None:
        self.tasks = tasks
        self.threads = threads
        self.runner = runner

    def execute(self, specs: Sequence[RunSpec], store: Store, watch: Watch) -> None:
        """Do all runs in turn."""
        use_threads(self.threads)
        for spec in specs:
            self._run(spec, store, watch)

    def _run(self, spec: RunSpec, store: Store, watch: Watch) -> None:
        folder = store.begin(spec)
        watch.started(spec)
        task = self.tasks[spec.task]
        record = perform(
            spec,
            task.name,
            folder,
            lambda: task,
            lambda: elsewhere_of(spec, self.tasks),
            lambda progress: watch.moved(spec, progress.step, progress.total, progress.phase, progress.loss),
            self.runner,
        )
        watch.ended(record)

"""A study from its plan to its results, going on from whatever is already there."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from holdfast.records.run import RunRecord, RunSpec
from holdfast.records.summary import SequenceSummary, Summary
from holdfast.study.analysis.conclude import Outputs, conclude
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.policy import Policy
from holdfast.study.plan.prepare import Prepared
from holdfast.study.run.executors.base import Executor
from holdfast.study.run.executors.in_process import InProcess
from holdfast.study.run.executors.processes import Processes
from holdfast.study.run.progress import StudyCallback, StudyProgress
from holdfast.study.store.best import prune
from holdfast.study.store.run_store import Store


@contextmanager
def warm_workers(study: StudyFile, data_dir: Path | None) -> Iterator[Executor | None]:
    """Within the block, have workers for the runs of ``study``, which get ready while it is prepared.

    None where its runs are done in this process.
    """
    if study.workers == 0:
        yield None
        return
    with closing(Processes(study.workers, study.threads, data_dir)) as workers:
        workers.warm_up(len(study.methods) * len(study.seeds) * len(study.tasks))
        yield workers


def run_study(
    prepared: Prepared,
    out: Path,
    callback: StudyCallback,
    outputs: Outputs,
    *,
    executor: Executor | None = None,
    retry_failed: bool = False,
) -> Summary | SequenceSummary:
    """Do the runs that ``out`` lacks, write the results there, and return them.

    Args:
        prepared: The study, checked.
        out: Its folder.
        callback: Told what its runs do.
        outputs: What writes the results.
        executor: What does the runs, which stays open; None makes one.
        retry_failed: Also do those again that stopped with an error.

    Raises:
        HoldfastError: When ``out`` holds something else or is in use, before anything is written.
        KeyboardInterrupt: Stops the runs under way and leaves a folder from which the same call goes on.
    """
    store = Store(out)
    with store.open(prepared.study, prepared.stored, prepared.grid):
        with nullcontext(executor) if executor else closing(_executor(prepared)) as at_work:
            _do_runs(store, prepared, at_work, callback, retry_failed)
        return conclude(store, prepared.study, prepared.stored, outputs)


def remake_results(out: Path, outputs: Outputs) -> Summary | SequenceSummary:
    """Write the results of the study in ``out`` anew, from the runs that ended so far, and return them."""
    store = Store(out)
    study, stored = store.load()
    with store.open(study, stored, []):
        return conclude(store, study, stored, outputs)


def _do_runs(store: Store, prepared: Prepared, executor: Executor, callback: StudyCallback, retry_failed: bool) -> None:
    records = store.records()
    if retry_failed:
        records = {run: record for run, record in records.items() if record.status != "error"}
    progress = StudyProgress(prepared.policy.planned(records), prepared.names, records.values(), executor.slots)
    events = _RunEvents(store, prepared.policy, records, progress, callback)
    events.look_ahead()
    while specs := prepared.policy.next(records):
        executor.execute(specs, store, events)
        events.look_ahead()


def _executor(prepared: Prepared) -> Executor:
    study = prepared.study
    if study.workers == 0:
        return InProcess(prepared.all_tasks, study.threads)
    return Processes(study.workers, study.threads, prepared.data_dir)


class _RunEvents:
    """Passes what runs do on to the callback, and retains only the best model of each task."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        records: dict[str, RunRecord],
        progress: StudyProgress,
        callback: StudyCallback,
    ) -> None:
        self.store = store
        self.policy = policy
        self.records = records
        self.progress = progress
        self.callback = callback

    def look_ahead(self) -> None:
        """Take in what is planned after the runs that ended."""
        planned = self.policy.planned(self.records)
        self.store.plan(planned.runs)
        self.progress.planned = replace(planned, runs=self.store.planned())
        # A start that was killed may have left models that no longer matter.
        prune(self.store, self.progress.planned.runs, self.records)

    def started(self, spec: RunSpec) -> None:
        self.callback.started(self.progress, self.progress.start(spec))

    def moved(self, spec: RunSpec, step: int, total: int, phase: str, loss: float | None) -> None:
        run = self.progress.running[spec.id]
        run.step, run.total, run.phase, run.loss = step, total, phase, loss
        self.callback.moved(self.progress, run)

    def ended(self, record: RunRecord) -> None:
        self.records[record.id] = record
        prune(self.store, self.progress.planned.runs, self.records)
        self.callback.ended(self.progress, record, self.progress.end(record))

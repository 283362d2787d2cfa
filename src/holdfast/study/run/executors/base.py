"""What an executor is, and what it tells of its runs."""

from collections.abc import Sequence
from typing import Protocol

from holdfast.records.run import RunRecord, RunSpec
from holdfast.study.store.run_store import Store


class ExecutorCallback(Protocol):
    """Is told by an executor what its runs do."""

    def started(self, spec: RunSpec) -> None:
        """A run is about to begin."""

    def moved(self, spec: RunSpec, step: int, total: int, phase: str, loss: float | None) -> None:
        """A run is at ``step`` of ``total`` of a phase."""

    def ended(self, record: RunRecord) -> None:
        """A run ended; its record is in the store."""


class Executor(Protocol):
    """Does runs somewhere."""

    slots: int
    """Runs at a time."""

    def execute(self, specs: Sequence[RunSpec], store: Store, callback: ExecutorCallback) -> None:
        """Do all runs, each in its folder of ``store``, and leave a record of each.

        Stopped by an exception, ``KeyboardInterrupt`` included, it leaves nothing running, and unfinished runs
        without a record.
        """

    def close(self) -> None:
        """Let go of what was kept for further runs; called once no more will come."""

"""Runs in worker processes, so that a crash or an out-of-memory kill costs one run.

A worker stays for the runs to come: it imports what runs need once. After a run that failed, the next one gets a new
worker, since nobody knows what the failure left behind.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.records.run import RunRecord, RunSpec
from holdfast.study.run import run_one
from holdfast.study.run.executors.base import ExecutorCallback
from holdfast.study.run.executors.environment import threads_per_worker, visible_gpus, worker_environment
from holdfast.study.store.atomic import write_text
from holdfast.study.store.run_store import Store, write_record

_POLL = 0.1
"""Seconds between looks at whether something came in, in which Ctrl-C is noticed on all systems."""
_GRACE = 5.0
"""Seconds a worker has to end after SIGTERM."""
_TAIL = 60
"""Lines of a worker's output kept in ``error.txt``."""

Message = dict[str, Any] | None
"""What a worker says; None when it is gone."""


@dataclass
class _Run:
    """A run that a worker is doing."""

    spec: RunSpec
    folder: Path
    since: float = field(default_factory=time.monotonic)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class _Worker:
    """A worker process in a slot; ``messages`` gets what it says, with it."""

    def __init__(self, slot: int, command: Sequence[str], environment: dict[str, str], messages: "Messages") -> None:
        self.slot = slot
        self.run: _Run | None = None
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the worker
        """What it prints before its first run, which says where to."""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.output,
            env=environment,
            # The terminal's Ctrl-C is for this process, which then stops its workers in order.
            **_APART,
        )
        self._reader = threading.Thread(target=self._read, args=(messages,), daemon=True)
        self._reader.start()

    def begin(self, run: _Run, task_name: str) -> None:
        """Let the worker do ``run``. A worker that is gone says so by itself."""
        self.run = run
        assert self.process.stdin is not None
        request = json.dumps({"folder": str(run.folder), "task_name": task_name}) + "\n"
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(request.encode())
            self.process.stdin.flush()

    def log(self, run: _Run) -> list[str]:
        """Return the lines printed in ``run``, or before it where it never began."""
        path = run.folder / "log.txt"
        if not path.exists():
            self.output.seek(0)
            return self.output.read().decode("utf-8", errors="replace").splitlines()
        return path.read_text(encoding="utf-8", errors="replace").splitlines()

    def send_away(self) -> None:
        """Tell the worker that no more runs will come."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.output.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            if sys.platform == "win32":
                self.process.kill() if number != signal.SIGTERM else self.process.terminate()
            else:
                os.killpg(self.process.pid, number)

    def _read(self, messages: "Messages") -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            messages.put((self, json.loads(line)))
        self.process.stdout.close()
        messages.put((self, None))


Messages = queue.Queue[tuple[_Worker, Message]]

_APART: dict[str, Any] = (
    {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    if sys.platform == "win32"
    else {"start_new_session": True}
)


class Processes:
    """An executor with ``workers`` processes that do a run at a time each."""

    def __init__(
        self, workers: int, threads: int | None = None, data_dir: Path | None = None, runner: str | None = None
    ) -> None:
        self.slots = workers
        self.threads = threads_per_worker(workers, threads, os.environ)
        self.gpus = visible_gpus(os.environ)
        # -P: a file named like a library in the user's folder must not be imported in its place.
        self.command = [sys.executable, "-P", "-m", "holdfast.study.run.worker", "--runner", runner or run_one.RUNNER]
        if data_dir is not None:
            self.command += ["--data-dir", str(data_dir)]
        self._workers: dict[int, _Worker] = {}
        """By slot, those that are there."""
        self._leaving: list[_Worker] = []
        """Those that were sent away."""
        self._messages: Messages = queue.Queue()

    def warm_up(self, count: int) -> None:
        """Start ``count`` workers, as far as there are slots: they import what runs need while others prepare these."""
        for slot in range(min(count, self.slots)):
            self._worker(slot)

    def execute(self, specs: Sequence[RunSpec], store: Store, callback: ExecutorCallback) -> None:
        """Do all runs, as many at a time as there are slots; stop the workers when interrupted."""
        waiting, free, running = deque(specs), deque(range(self.slots)), 0
        try:
            while waiting or running:
                while waiting and free:
                    self._begin(waiting.popleft(), free.popleft(), store, callback)
                    running += 1
                with contextlib.suppress(queue.Empty):
                    worker, message = self._messages.get(timeout=_POLL)
                    if message is not None and "ended" not in message:
                        assert worker.run is not None
                        callback.moved(worker.run.spec, **message)
                    elif (record := self._end(worker, message, store)) is not None:
                        free.append(worker.slot)
                        running -= 1
                        callback.ended(record)
        except BaseException:
            _stop([*self._workers.values(), *self._leaving])
            self._workers.clear()
            self._leaving.clear()
            raise

    def close(self) -> None:
        """Send the workers away."""
        for worker in self._workers.values():
            worker.send_away()
        workers = [*self._workers.values(), *self._leaving]
        self._workers.clear()
        self._leaving.clear()
        deadline = time.monotonic() + _GRACE
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
        _stop([worker for worker in workers if worker.process.poll() is None])

    def _begin(self, spec: RunSpec, slot: int, store: Store, callback: ExecutorCallback) -> None:
        run = _Run(spec, store.begin(spec))
        self._worker(slot).begin(run, store.task_name(spec))
        callback.started(spec)

    def _worker(self, slot: int) -> _Worker:
        worker = self._workers.get(slot)
        if worker is None or worker.process.poll() is not None:
            environment = worker_environment(os.environ, self.threads, self.gpus, slot)
            self._workers[slot] = worker = _Worker(slot, self.command, environment, self._messages)
        return worker

    def _end(self, worker: _Worker, message: Message, store: Store) -> RunRecord | None:
        """Return the record of the run that ``worker`` ended, or died in; None where it did none."""
        run, worker.run = worker.run, None
        gone = message is None
        if gone:
            worker.process.wait()
        record = None if run is None else store.record(run.spec.id)
        if run is not None and record is None:
            record = _failure(run, worker.process.returncode, worker.log(run), store)
        if gone or (record is not None and record.status == "error"):
            worker.send_away()
            self._leaving.append(worker)
            if self._workers.get(worker.slot) is worker:
                del self._workers[worker.slot]
        return record


def _failure(run: _Run, code: int, log: Sequence[str], store: Store) -> RunRecord:
    """Return, and keep, the record of a run whose worker left none."""
    write_text(run.folder / "error.txt", "\n".join(log[-_TAIL:]) + "\n")
    record = RunRecord(
        id=run.spec.id,
        spec=run.spec,
        status="error",
        error=_cause(code, log),
        task_name=store.task_name(run.spec),
        started=run.started,
        seconds=time.monotonic() - run.since,
    )
    write_record(run.folder, record)
    return record


def _cause(code: int, log: Sequence[str]) -> str:
    if code >= 0:
        last = next((line.strip() for line in reversed(log) if line.strip()), "no output")
        return f"the worker process ended with exit code {code} and no result: {last}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = {"SIGKILL": ", as the system does when memory runs out", "SIGSEGV": ", a crash in native code"}
    return f"the worker process was killed by {name}{meaning.get(name, '')}"


def _stop(workers: Iterable[_Worker]) -> None:
    """End workers and whatever they started: politely, then not; a second Ctrl-C skips the politeness."""
    workers = list(workers)
    try:
        for worker in workers:
            worker.signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in workers:
            worker.signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
            worker.process.wait()
            worker.send_away()

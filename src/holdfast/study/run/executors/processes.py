"""Runs in processes of their own, so that a crash or an out-of-memory kill costs one run."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
"""Seconds between looks at whether a worker has ended."""
_GRACE = 5.0
"""Seconds a worker has to end after SIGTERM."""
_TAIL = 60
"""Lines of a worker's output kept in ``error.txt``."""


@dataclass
class _Worker:
    spec: RunSpec
    folder: Path
    slot: int
    process: subprocess.Popen[bytes]
    pipe: int
    since: float
    started: str
    unread: bytes = b""

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield the progress that has come in."""
        data = os.read(self.pipe, 65536)
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


class Processes:
    """An executor that starts one worker process a run, ``workers`` of them at a time."""

    def __init__(
        self, workers: int, threads: int | None = None, data_dir: Path | None = None, runner: str | None = None
    ) -> None:
        self.slots = workers
        self.data_dir = data_dir
        self.runner = runner or run_one.RUNNER
        self.threads = threads_per_worker(workers, threads, os.environ)
        self.gpus = visible_gpus(os.environ)

    def execute(self, specs: Sequence[RunSpec], store: Store, callback: ExecutorCallback) -> None:
        """Do all runs, as many at a time as there are slots; stop the workers when interrupted."""
        waiting, free, running = deque(specs), deque(range(self.slots)), list[_Worker]()
        with selectors.DefaultSelector() as selector:
            try:
                while waiting or running:
                    while waiting and free:
                        worker = self._start(waiting.popleft(), free.popleft(), store, running)
                        selector.register(worker.pipe, selectors.EVENT_READ, worker)
                        callback.started(worker.spec)
                    for key, _ in selector.select(_POLL):
                        for line in key.data.read():
                            callback.moved(key.data.spec, **line)
                    for worker in [worker for worker in running if worker.process.poll() is not None]:
                        selector.unregister(worker.pipe)
                        running.remove(worker)
                        free.append(worker.slot)
                        callback.ended(_close(worker, store))
            finally:
                _stop(running)

    def _start(self, spec: RunSpec, slot: int, store: Store, running: list[_Worker]) -> _Worker:
        folder = store.begin(spec)
        reading, writing = os.pipe()
        # -P: a file named like a library in the user's folder must not be imported in its place.
        command = [sys.executable, "-P", "-m", "holdfast.study.run.worker", str(folder)]
        command += ["--task-name", store.task_name(spec), "--progress", str(writing), "--runner", self.runner]
        if self.data_dir is not None:
            command += ["--data-dir", str(self.data_dir)]
        try:
            with (folder / "log.txt").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    # Never written to: it closes when this process ends, however that happens.
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(writing,),
                    env=worker_environment(os.environ, self.threads, self.gpus, slot),
                    # The terminal's Ctrl-C is for this process, which then stops its workers in order.
                    start_new_session=True,
                )
        finally:
            os.close(writing)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        worker = _Worker(spec, folder, slot, process, reading, time.monotonic(), now)
        running.append(worker)
        return worker


def _close(worker: _Worker, store: Store) -> RunRecord:
    """Return the record of a worker that ended, making one when it left none."""
    _release(worker)
    record = store.record(worker.spec.id)
    if record is not None:
        return record
    log = (worker.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    write_text(worker.folder / "error.txt", "\n".join(log[-_TAIL:]) + "\n")
    record = RunRecord(
        id=worker.spec.id,
        spec=worker.spec,
        status="error",
        error=_cause(worker.process.returncode, log),
        task_name=store.task_name(worker.spec),
        started=worker.started,
        seconds=time.monotonic() - worker.since,
    )
    write_record(worker.folder, record)
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


def _release(worker: _Worker) -> None:
    os.close(worker.pipe)
    if worker.process.stdin is not None:
        worker.process.stdin.close()


def _stop(running: Sequence[_Worker]) -> None:
    """End workers and whatever they started: politely, then not; a second Ctrl-C skips the politeness."""
    try:
        for worker in running:
            _signal(worker, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        for worker in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for worker in running:
            _signal(worker, signal.SIGKILL)
            worker.process.wait()
            _release(worker)


def _signal(worker: _Worker, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.process.pid, number)

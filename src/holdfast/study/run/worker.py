"""A process that does runs of a study, one after the other: ``python -m holdfast.study.run.worker``.

Each line on its standard input names a run: its folder, in which ``spec.json`` is read and ``record.json`` left, and
the name of its task. Progress, and that a run ended, go as JSON lines to its standard output; what the run itself
prints goes to ``log.txt`` in the folder. When its standard input closes, the study's own process is gone or needs it
no more, and the worker ends too.
"""

import argparse
import gc
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from holdfast.records.run import OtherTask, RunSpec
from holdfast.study.run.run_one import RUNNER, import_runner, run_one
from holdfast.tasks.task import Task

if TYPE_CHECKING:
    from holdfast.training.run.progress import Progress

_INTERVAL = 0.1
"""Seconds between progress lines within a phase; faster than anyone reads, rare enough to cost nothing."""
_TASKS = 8
"""Loaded tasks that are kept for the runs to come."""

T = TypeVar("T")


class _Channel:
    """Writes messages to the study, progress not more often than it can be looked at."""

    def __init__(self) -> None:
        # Of its own, and closed in processes that a run starts: they must not hold the pipe open after this one died.
        self.descriptor = os.dup(1)
        os.set_inheritable(self.descriptor, False)
        self.phase, self.sent = "", 0.0

    def progress(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.phase == self.phase and progress.step < progress.total and now - self.sent < _INTERVAL:
            return
        self.phase, self.sent = progress.phase, now
        self.send(step=progress.step, total=progress.total, phase=progress.phase, loss=progress.loss)

    def send(self, **message: Any) -> None:
        try:
            os.write(self.descriptor, (json.dumps(message) + "\n").encode())
        except BrokenPipeError:
            # The study is gone. Raising would be recorded as an error of the run, which it is not.
            os._exit(1)


def _requests() -> queue.Queue[dict[str, str]]:
    """Return what fills with the runs asked for; the process ends when no more can come."""
    requests: queue.Queue[dict[str, str]] = queue.Queue()

    def read() -> None:
        unread = b""
        # Not sys.stdin: Python cannot shut down while a thread holds its buffer.
        while data := os.read(0, 65536):
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                requests.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests


class _Tasks:
    """Loads tasks once for all runs of this process."""

    def __init__(self, data_dir: Path | None) -> None:
        self.data_dir = data_dir
        self.loaded: dict[Hashable, Task] = {}

    def of(self, spec: RunSpec) -> Task:
        from holdfast.tasks import load_task

        return self._once(spec.task, lambda: load_task(spec.task, self.data_dir))

    def beside(self, spec: RunSpec) -> dict[OtherTask, Task]:
        from holdfast.study.plan.targets import load_eval_tasks

        def load(target: OtherTask, part: str) -> Task:
            alone = spec.model_copy(update={"ood": (), "probed": (), part: (target,)})
            return load_eval_tasks(alone, self.data_dir)[target]

        ood = {one: self._once(("ood", one), partial(load, one, "ood")) for one in spec.ood}
        return ood | {one: self._once(one.task, partial(load, one, "probed")) for one in spec.probed}

    def _once(self, key: Hashable, load: Callable[[], Task]) -> Task:
        if key not in self.loaded:
            while len(self.loaded) >= _TASKS:
                self.loaded.pop(next(iter(self.loaded)))
            self.loaded[key] = load()
        return self.loaded[key]


def _into(log: Path) -> None:
    """Let all that is printed from here on, by native code too, go to the end of ``log``."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _free_memory() -> None:
    """Let go of the last run's model, on the GPU too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> None:
    """Do the runs that standard input names."""
    parser = argparse.ArgumentParser(prog="holdfast.study.run.worker")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--runner", default=RUNNER)
    arguments = parser.parse_args()
    channel, requests, tasks = _Channel(), _requests(), _Tasks(arguments.data_dir)
    # Before the first run is asked for.
    import_runner(arguments.runner)
    # What was imported stays: looking through it for garbage takes a third of a second each time.
    gc.freeze()
    while True:
        request = requests.get()
        folder = Path(request["folder"])
        _into(folder / "log.txt")
        spec = RunSpec.model_validate_json((folder / "spec.json").read_bytes())
        run_one(
            spec,
            request["task_name"],
            folder,
            partial(tasks.of, spec),
            partial(tasks.beside, spec),
            channel.progress,
            arguments.runner,
        )
        channel.phase = ""
        channel.send(ended=True)
        _free_memory()


if __name__ == "__main__":
    main()

"""A process that does one run of a study: ``python -m holdfast.study.run.worker <run folder> ...``.

It reads ``spec.json`` in the folder and leaves ``record.json`` there. Progress goes as JSON lines to the
inherited file descriptor ``--progress``. When the pipe on its standard input closes, the study's own process
is gone, and the worker ends too.
"""

import argparse
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.records.run import RunSpec
from holdfast.study.run.run_one import RUNNER, run_one

if TYPE_CHECKING:
    from holdfast.training.run.progress import Progress

_INTERVAL = 0.1
"""Seconds between progress lines within a phase; faster than anyone reads, rare enough to cost nothing."""


class _Reporter:
    """Writes progress to a file descriptor, not more often than it can be looked at."""

    def __init__(self, descriptor: int) -> None:
        # Processes that the run itself starts must not hold the pipe open after this one died.
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor
        self.phase, self.sent = "", 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.phase == self.phase and progress.step < progress.total and now - self.sent < _INTERVAL:
            return
        self.phase, self.sent = progress.phase, now
        line = {"step": progress.step, "total": progress.total, "phase": progress.phase, "loss": progress.loss}
        try:
            os.write(self.descriptor, (json.dumps(line) + "\n").encode())
        except BrokenPipeError:
            # The study is gone. Raising would be recorded as an error of the run, which it is not.
            os._exit(1)


def _end_with_parent() -> None:
    def wait() -> None:
        # Not sys.stdin: Python cannot shut down while a thread holds its buffer.
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Do the run that the command line names."""
    parser = argparse.ArgumentParser(prog="holdfast.study.run.worker")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--task-name", required=True)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--progress", type=int, required=True)
    parser.add_argument("--runner", default=RUNNER)
    arguments = parser.parse_args()
    _end_with_parent()
    report = _Reporter(arguments.progress)
    spec = RunSpec.model_validate_json((arguments.folder / "spec.json").read_bytes())

    from holdfast.study.plan.targets import load_eval_tasks
    from holdfast.tasks import load_task

    run_one(
        spec,
        arguments.task_name,
        arguments.folder,
        lambda: load_task(spec.task, arguments.data_dir),
        lambda: load_eval_tasks(spec, arguments.data_dir),
        report,
        arguments.runner,
    )


if __name__ == "__main__":
    main()

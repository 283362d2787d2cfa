"""What the user sees while runs go on: live lines on a terminal, a line a run elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from holdfast.records.run import RunRecord
from holdfast.study.plan.prepare import Prepared
from holdfast.study.run.progress import Running, StudyCallback, StudyProgress, ended_line, how_far, name_of, time_left

MoveBar = Callable[[str, int, int | None], None]
"""Shows what is under way, and how many are done of how many; None where that is not known."""


def announce(prepared: Prepared) -> None:
    """Tell what was decided about the data, and what looks wrong with them or the methods, on standard error."""
    for kind, text in prepared.remarks():
        typer.echo(f"{kind}: {text}", err=True)


@contextmanager
def listening() -> Iterator[StudyCallback]:
    """Give a callback that shows progress on standard error, in the way that suits it."""
    if not _on_terminal():
        yield Lines()
        return
    with live_progress() as progress:
        yield Live(progress)


@contextmanager
def one_bar(name: str) -> Iterator[MoveBar]:
    """Give what moves a bar on standard error, which is gone when the block ends; it does nothing elsewhere."""
    if not _on_terminal():
        yield lambda state, done, total: None
        return
    with live_progress() as progress:
        bar = progress.add_task(name, total=None, state="")
        yield lambda state, done, total: progress.update(bar, total=total, completed=done, state=state)


def _on_terminal() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty()


def live_progress() -> Progress:
    """Return an empty live display on standard error; it is gone when its block ends."""
    name, state = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[state]}"))
    return Progress(name, BarColumn(bar_width=24), state, console=Console(stderr=True), transient=True)


class Lines:
    """A line for every run that ended, and nothing else."""

    def started(self, progress: StudyProgress, run: Running) -> None:
        """Nothing to show."""

    def moved(self, progress: StudyProgress, run: Running) -> None:
        """Nothing to show."""

    def ended(self, progress: StudyProgress, record: RunRecord, seconds: float) -> None:
        """Write the run's line."""
        typer.echo(ended_line(progress, record, seconds), err=True)


class Live:
    """A bar for the study and one for every run under way, with ended runs above them."""

    def __init__(self, live: Progress) -> None:
        self.live = live
        self.whole: TaskID | None = None
        self.bars: dict[str, TaskID] = {}

    def started(self, progress: StudyProgress, run: Running) -> None:
        """Give the run a bar."""
        self._show_whole(progress)
        self.bars[run.spec.id] = self.live.add_task(name_of(run.spec, run.task), total=None, state=run.phase)

    def moved(self, progress: StudyProgress, run: Running) -> None:
        """Move the run's bar."""
        self.live.update(self.bars[run.spec.id], total=run.total or None, completed=run.step, state=running_state(run))
        self._show_whole(progress)

    def ended(self, progress: StudyProgress, record: RunRecord, seconds: float) -> None:
        """Turn the run's bar into a line."""
        self.live.remove_task(self.bars.pop(record.id))
        self.live.console.print(ended_line(progress, record, seconds), markup=False, highlight=False)
        self._show_whole(progress)

    def _show_whole(self, progress: StudyProgress) -> None:
        if self.whole is None:
            self.whole = self.live.add_task("runs", total=progress.total, state="")
        left = time_left(progress)
        state = f"{how_far(progress.done, progress.planned)} done" + (f", {left}" if left else "")
        self.live.update(self.whole, total=progress.total, completed=progress.done, state=state)


def running_state(run: Any) -> str:
    """Return a run's step and loss in words; ``run`` has ``step``, ``total``, ``phase`` and ``loss``."""
    if not run.total or run.phase != "training":
        return str(run.phase)
    return f"step {run.step}/{run.total}" + ("" if run.loss is None else f"  loss {run.loss:.3f}")

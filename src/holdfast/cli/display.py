"""What the user sees while runs go on: live lines on a terminal, a line a run elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from holdfast.study.prepare import Prepared
from holdfast.study.progress import Board, Listener, Running
from holdfast.training.spec import RunRecord, RunSpec


def announce(prepared: Prepared) -> None:
    """Tell what was decided about the data, and what looks wrong with them or the methods, on standard error."""
    from holdfast.study.controls import control_notes
    from holdfast.tasks.table import listed

    for info in (stored.info for stored in prepared.stored):
        for note in info.notes:
            typer.echo(f"note: {info.task}: {note}", err=True)
        for warning in info.warnings:
            typer.echo(f"warning: {info.task}: {warning}", err=True)
    for task in prepared.tasks:
        if task.unused:
            typer.echo(f"note: {task.name}: columns that are not used: {listed(task.unused)}", err=True)
    assert prepared.study.baseline is not None
    for note in control_notes(prepared.study.methods, prepared.study.baseline):
        typer.echo(f"note: {note}", err=True)


@contextmanager
def listening() -> Iterator[Listener]:
    """Give a listener that shows progress on standard error, in the way that suits it."""
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield Lines()
        return
    with live_progress() as progress:
        yield Live(progress)


def live_progress() -> Progress:
    """Return an empty live display on standard error; it is gone when its block ends."""
    name, state = (TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[state]}"))
    return Progress(name, BarColumn(bar_width=24), state, console=Console(stderr=True), transient=True)


class Lines:
    """A line for every run that ended, and nothing else."""

    def started(self, board: Board, run: Running) -> None:
        """Nothing to show."""

    def moved(self, board: Board, run: Running) -> None:
        """Nothing to show."""

    def ended(self, board: Board, record: RunRecord, seconds: float) -> None:
        """Write the run's line."""
        typer.echo(ended_line(board, record, seconds), err=True)


class Live:
    """A bar for the study and one for every run under way, with ended runs above them."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.whole: TaskID | None = None
        self.bars: dict[str, TaskID] = {}

    def started(self, board: Board, run: Running) -> None:
        """Give the run a bar."""
        self._show_whole(board)
        self.bars[run.spec.id] = self.progress.add_task(_name(run.spec, run.task), total=None, state=run.phase)

    def moved(self, board: Board, run: Running) -> None:
        """Move the run's bar."""
        self.progress.update(
            self.bars[run.spec.id], total=run.total or None, completed=run.step, state=running_state(run)
        )
        self._show_whole(board)

    def ended(self, board: Board, record: RunRecord, seconds: float) -> None:
        """Turn the run's bar into a line."""
        self.progress.remove_task(self.bars.pop(record.id))
        self.progress.console.print(ended_line(board, record, seconds), markup=False, highlight=False)
        self._show_whole(board)

    def _show_whole(self, board: Board) -> None:
        if self.whole is None:
            self.whole = self.progress.add_task("runs", total=board.total, state="")
        left = board.seconds_left()
        state = f"{board.done}/{board.total} done" + (f", about {duration(left)} left" if left else "")
        self.progress.update(self.whole, completed=board.done, state=state)


def running_state(run: Any) -> str:
    """Return a run's step and loss in words; ``run`` has ``step``, ``total``, ``phase`` and ``loss``."""
    if not run.total or run.phase != "training":
        return str(run.phase)
    return f"step {run.step}/{run.total}" + ("" if run.loss is None else f"  loss {run.loss:.3f}")


def ended_line(board: Board, record: RunRecord, seconds: float) -> str:
    """Return the line about a run that ended: which, its score in points, how long, what is left."""
    if record.status == "error":
        result = f"stopped with an error: {record.error}"
    elif record.spec.untrained:
        result = f"probed  {duration(seconds)}"
    else:
        score = record.metrics.get(record.primary)
        points = "undefined" if score is None else f"{100 * score:.1f}"
        result = f"{record.primary} {points}" + (", diverged" if record.diverged else "") + f"  {duration(seconds)}"
    left = board.seconds_left()
    rest = f"  (about {duration(left)} left)" if left else ""
    return f"[{board.done}/{board.total}] {_name(record.spec, record.task_name)}  {result}{rest}"


def duration(seconds: float) -> str:
    """Return ``seconds`` in the unit one would say."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _name(spec: RunSpec, task: str) -> str:
    rows = "" if spec.perturb is None else f", data {spec.perturb.seed}"
    if spec.untrained:
        return "the pre-trained model"
    size = "" if spec.train_size is None else f" ({spec.train_size} rows)"
    return f"{task}{size}  {spec.method}  seed {spec.seed}{rows}"

"""From a study to its results: what every command that does many runs does."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from holdfast.cli.stopping import exit_code
from holdfast.study.define.folders import default_out
from holdfast.study.define.study_file import StudyFile

if TYPE_CHECKING:
    from holdfast.study.plan.prepare import Prepared
    from holdfast.study.run.executors.base import Executor


def launch(
    study: StudyFile,
    data_dir: Path | None,
    out: Path | None,
    study_file: Path | None = None,
    *,
    dry_run: bool,
    retry_failed: bool,
) -> None:
    """Check ``study``, do its runs in ``out`` and show the results; with ``dry_run``, show only what would be done.

    ``study_file``: where the study came from, if from a file. Stopped, it tells how to go on.
    """
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.run.study_runner import warm_workers

    with nullcontext() if dry_run else warm_workers(study, data_dir) as executor:
        prepared = prepare(study, data_dir)
        target = out or default_out(study_file, [task.name for task in prepared.tasks])
        do(prepared, target, executor, dry_run=dry_run, retry_failed=retry_failed)


def do(
    prepared: "Prepared", target: Path, executor: "Executor | None" = None, *, dry_run: bool, retry_failed: bool
) -> None:
    """Do the runs of a checked study in ``target`` and show the results, as ``launch`` does."""
    from holdfast.cli import display
    from holdfast.cli.outputs import show_results
    from holdfast.cli.plan import how_to_go_on, show_plan
    from holdfast.report.outputs import OUTPUTS
    from holdfast.study.run.study_runner import run_study
    from holdfast.study.store.run_store import Store

    Store(target).check(prepared.study, prepared.stored)
    display.announce(prepared)
    if dry_run:
        show_plan(prepared, target)
        return
    typer.echo(f"results go to {target}", err=True)
    try:
        with display.listening() as callback:
            summary = run_study(prepared, target, callback, OUTPUTS, executor=executor, retry_failed=retry_failed)
    except KeyboardInterrupt as stop:
        typer.echo(how_to_go_on(prepared, target), err=True)
        raise typer.Exit(exit_code(stop)) from None
    show_results(summary, target)

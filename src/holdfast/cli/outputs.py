"""Results shown at the end."""

import shlex
from pathlib import Path

import typer
from rich.console import Console

from holdfast.records.summary import SequenceSummary, Summary
from holdfast.report.outputs import report_of
from holdfast.report.terminal import show


def show_results(summary: Summary | SequenceSummary, folder: Path) -> None:
    """Print the results of the study in ``folder``; exit with code 1 when no run of it finished."""
    files = {"report": folder / "report.html", "summary": folder / "summary.json"}
    if isinstance(summary, Summary):
        files |= {f"best model ({best.task})": folder / best.path for best in summary.best}
    show(report_of(summary), Console(), files)
    if summary.errors:
        command = shlex.join(["holdfast", "compare", str(folder / "study.yaml")])
        typer.echo(
            f"runs without a result: {len(summary.errors)}; `{command}` does those that are missing, "
            f"with --retry-failed also those that stopped with an error ({folder / 'runs'}/<run>/error.txt tells more)",
            err=True,
        )
    if all(row.n == 0 for row in summary.results):
        raise typer.Exit(1)

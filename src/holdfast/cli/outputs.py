"""Where the floors meet: what the study floor needs of the report floor, and results shown at the end."""

from pathlib import Path

import typer
from rich.console import Console

from holdfast.report.card import model_card
from holdfast.report.page import write_page
from holdfast.report.terminal import show
from holdfast.study.execute import Outputs
from holdfast.study.summary import Summary

OUTPUTS = Outputs(card=model_card, page=write_page)


def show_results(summary: Summary, folder: Path) -> None:
    """Print the results of the study in ``folder``; exit with code 1 when no run of it finished."""
    files = {"report": folder / "report.html", "summary": folder / "summary.json"}
    files |= {f"best model ({best.task})": folder / best.path for best in summary.best}
    show(summary, Console(), files)
    if summary.errors:
        typer.echo(
            f"runs without a result: {len(summary.errors)}; the same command with --retry-failed does those again "
            f"that stopped with an error ({folder / 'runs'}/<run>/error.txt tells more)",
            err=True,
        )
    if all(row.n == 0 for row in summary.results):
        raise typer.Exit(1)

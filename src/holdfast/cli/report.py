"""``holdfast report``: the results of a study, made anew from its folder."""

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `holdfast compare` wrote.", show_default=False)],
) -> None:
    """Show the results of a study again, and write its report.html, summary.json and best/ anew.

    A study that was stopped is summarised as far as it went; adding runs after such a look is counted and told.

    \b
    Example:
      holdfast report holdfast-runs/rte
    """
    from holdfast.cli.outputs import show_results
    from holdfast.report.outputs import OUTPUTS
    from holdfast.study.run.study_runner import remake_results

    show_results(remake_results(folder, OUTPUTS), folder)

"""``holdfast stability``: how much of a result is luck, by theory and measured; its commands."""

import typer

from holdfast.cli.help import show_help
from holdfast.cli.stability_synthetic import synthetic
from holdfast.cli.stability_task import task

app = typer.Typer(
    name="stability",
    help="""Measure how stable tuning is, and what limits it.

    \b
    Examples:
      holdfast stability synthetic
      holdfast stability task tickets.csv
    """,
    rich_markup_mode=None,
)
for command in (synthetic, task):
    app.command()(command)


app.callback(invoke_without_command=True)(show_help)

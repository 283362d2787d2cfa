"""What a command with sub-commands does when none is given."""

import typer


def show_help(context: typer.Context) -> None:
    """Show the help, unless a sub-command was given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())

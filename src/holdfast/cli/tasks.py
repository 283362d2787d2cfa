"""``holdfast tasks``: which there are by name."""

from typing import Annotated

import typer


def tasks(
    name: Annotated[
        str | None, typer.Argument(help="A task, to see its columns and labels.", show_default=False)
    ] = None,
) -> None:
    """List the tasks that have a name, or describe one.

    Files, folders and data sets of the hub (org/name:config) need no name: give them to `compare` as they are.

    \b
    Examples:
      holdfast tasks
      holdfast tasks rte
    """
    from holdfast.errors import HoldfastError, nearest
    from holdfast.tasks import available

    entries = {entry.name: entry for entry in available()}
    if name is None:
        width = max(map(len, entries))
        for entry in entries.values():
            typer.echo(f"{entry.name:<{width}}  {entry.description} ({entry.metrics[0]})")
        return
    if name not in entries:
        raise HoldfastError(f"{name}: no task of that name{nearest(name, entries)}; `holdfast tasks` lists them")
    entry = entries[name]
    typer.echo(f"{entry.name}: {entry.description}")
    typer.echo(f"  kind     {entry.kind}")
    typer.echo(f"  columns  {', '.join(entry.columns)}")
    typer.echo(f"  metrics  {', '.join(entry.metrics)}")
    typer.echo(f"  hub      {entry.hub or 'not there'}")

"""``holdfast tasks``: which there are by name, and what becomes of a file."""

from typing import Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.study.define.options import task_spec


@o.taking(o.READING)
def tasks(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(help="A task's name, a file, a folder, or a hub id (org/name:config).", show_default=False),
    ] = None,
    **more: Any,
) -> None:
    """List the tasks that have a name, describe one, or show what a file is read as.

    Of a file or folder it shows the files and columns used and unused, how many rows came of how many lines, the
    classes with their counts, whatever was decided or looks wrong, and two rows as they will be learned. The options
    are those of `compare`.

    \b
    Examples:
      holdfast tasks
      holdfast tasks rte
      holdfast tasks tickets.csv
      holdfast tasks mails.tsv --text body --label folder --read quotes=no
    """
    from holdfast.tasks import available, load_task
    from holdfast.tasks.show import show_task

    entries = {entry.name: entry for entry in available()}
    if name is None:
        width = max(map(len, entries))
        for entry in entries.values():
            typer.echo(f"{entry.name:<{width}}  {entry.description} ({entry.metrics[0]})")
        return
    if name not in entries:
        task = load_task(task_spec(name, context.params), context.params["data_dir"])
        remarks = [f"  note     {note}" for note in task.notes] + [f"  warning  {warning}" for warning in task.warnings]
        for line in [*show_task(task), *remarks]:
            typer.echo(line)
        return
    entry = entries[name]
    typer.echo(f"{entry.name}: {entry.description}")
    typer.echo(f"  kind     {entry.kind}")
    typer.echo(f"  columns  {', '.join(entry.columns)}")
    typer.echo(f"  metrics  {', '.join(entry.metrics)}")
    typer.echo(f"  hub      {entry.hub or 'not there'}")

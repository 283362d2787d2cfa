"""Results on a terminal: one table a task, the verdicts in words, what to know, where things are."""

from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.records.summary import Summary
from holdfast.report import published, remarks
from holdfast.report.further_metrics import TITLE as FURTHER
from holdfast.report.further_metrics import metric_table
from holdfast.report.layout import BlocksTable, NumbersTable, TaskTable
from holdfast.report.luck import TITLE, luck_notes, luck_tables
from holdfast.report.table import cells, description, heading, overall_cells, overall_title, rows_of
from holdfast.report.text import clean, decimals, level
from holdfast.report.transfer import TITLE as TRANSFER
from holdfast.report.transfer import side_grid, side_notes, side_tables

# For output that is not in Unicode, such as a redirected stream on Windows.
_PLAIN = str.maketrans(
    {
        "±": "+/-",
        "–": "-",
        "−": "-",
        "×": "x",
        "“": '"',
        "”": '"',
        "•": "*",
        "─": "-",
        "δ": "delta",
        "ρ": "rho",
        "√": "sqrt ",
        "κ": "k",
        "▲": "^",
        "▼": "v",
        "…": "...",
        "→": "->",
    }
)


def show(summary: Summary, console: Console, files: Mapping[str, Path] | None = None) -> None:
    """Print ``summary`` on ``console``, then where things were written (``files``: what it is, where it is)."""
    put(console, render(summary), files)


def put(console: Console, shown: RenderableType, files: Mapping[str, Path] | None = None) -> None:
    """Print ``shown`` and ``files``, in plain characters where the console has no others."""
    if console.encoding.lower().startswith("utf"):
        _print(console, shown, files)
        return
    with console.capture() as capture:
        _print(console, shown, files)
    encoded = capture.get().translate(_PLAIN).encode(console.encoding, "replace")
    console.file.write(encoded.decode(console.encoding))


def render(summary: Summary, width: int | None = None) -> RenderableType:
    """Return ``summary`` for Rich's ``console.print``, in ``width`` columns or the console's own."""
    settings = summary.settings
    parts: list[RenderableType] = []
    for info in summary.tasks:
        rows = [cells(row, settings) for row in rows_of(summary, info.task)]
        parts += [
            Text(heading(info), style="bold"),
            Text(description(info, decimals(settings.delta)), style="dim"),
            Text(),
            TaskTable(rows, level(settings.alpha)),
            Text(),
        ]
        if further := metric_table(summary, info.task):
            parts += [Text(FURTHER, style="dim"), BlocksTable(further.methods, further.header, further.lines)]
            parts.append(Text())
    if summary.overall:
        parts += [Text(overall_title(summary), style="bold"), Text(), _overall(summary), Text()]
    parts += [item(clean(sentence)) for sentence in summary.sentences]
    for side in side_tables(summary):
        names = [line.name for line in side.lines]
        parts += [Text(), Text(f"{TRANSFER}: {side.task}", style="bold"), Text()]
        parts.append(BlocksTable(names, *side_grid(side), keep=int(side.sized)))
    if summary.transfer:
        parts += [Text(), *(item(clean(note)) for note in (*side_notes(summary), *summary.transfer_sentences))]
    if summary.reproduction:
        parts += [Text(), published.block(summary.reproduction)]
    for table in luck_tables(summary):
        parts += [Text(), Text(f"{TITLE}: {table.task}", style="bold"), Text()]
        parts.append(NumbersTable(table.methods, table.header, table.lines, table.first))
    if summary.luck:
        parts += [Text(), *(item(note) for note in luck_notes(summary))]
    for title, lines in (
        ("Runs without a result", remarks.errors(summary)),
        ("Warnings", remarks.warnings(summary)),
        ("Notes", remarks.notes(summary)),
        ("Best model", [remarks.kept(best, summary) for best in summary.best]),
    ):
        if lines:
            parts += [Text(), Text(title, style="bold"), *(item(line) for line in lines)]
    return Constrain(Group(*parts), width)


def _print(console: Console, shown: RenderableType, files: Mapping[str, Path] | None) -> None:
    console.print(shown, highlight=False)
    if files:
        console.print()
    width = max((len(name) for name in files or {}), default=0)
    for name, path in (files or {}).items():
        # A path that is broken over lines cannot be copied.
        console.print(Text(f"{clean(name):<{width}}  {path}"), soft_wrap=True, highlight=False)


def _overall(summary: Summary) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", overflow="fold")
    table.add_column(Text(f"difference [{level(summary.settings.alpha)} CI]"), justify="right")
    table.add_column("tasks", justify="right")
    for overall in summary.overall:
        method, difference, between = overall_cells(overall, summary.settings)
        table.add_row(Text(method), Text(f"{difference} {between}"), str(overall.tasks))
    return table


def item(line: str) -> RenderableType:
    """Return a sentence of a list."""
    marked = Table.grid(padding=(0, 1, 0, 0))
    marked.add_row("•", Text(line))
    return Padding(marked, (0, 0, 0, 1), expand=False)

"""A sequence of tasks on a terminal: the probes, the stages' own scores, the verdicts in words."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.text import Text

from holdfast.records.summary import SequenceSummary
from holdfast.report import remarks
from holdfast.report.layout import BlocksTable
from holdfast.report.sequence.tables import SequenceTable, lead_of, notes, probe_tables, stage_table, title_of
from holdfast.report.terminal import item, put
from holdfast.report.text import clean


def show_sequence(summary: SequenceSummary, console: Console, files: Mapping[str, Path] | None = None) -> None:
    """Print ``summary`` on ``console``, then where things were written (``files``: what it is, where it is)."""
    put(console, render_sequence(summary), files)


def render_sequence(summary: SequenceSummary) -> RenderableType:
    """Return ``summary`` for Rich's ``console.print``."""
    parts: list[RenderableType] = [Text(title_of(summary), style="bold"), Text(lead_of(summary), style="dim"), Text()]
    for table in (*probe_tables(summary), stage_table(summary)):
        parts += [Text(table.title, style="bold"), Text(), _table(table), Text()]
    parts += [item(clean(line)) for line in (*notes(summary), *summary.sentences)]
    for title, lines in (
        ("Runs without a result", remarks.errors(summary)),
        ("Warnings", summary.warnings),
        ("How the protocol was run", summary.choices),
    ):
        if lines:
            parts += [Text(), Text(title, style="bold"), *(item(clean(line)) for line in lines)]
    return Group(*parts)


def _table(table: SequenceTable) -> BlocksTable:
    cells = [[cell.text for cell in line.cells] for line in table.lines]
    return BlocksTable([line.name for line in table.lines], table.header, cells)

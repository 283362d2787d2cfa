"""A table on a terminal, in the columns there are: one table, several, two lines a row, or a paragraph a row."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from holdfast.report.block import Cell, Heading, Row, Table
from holdfast.wording import breakable, wrap

_GAP = 2
"""Blank columns between cells."""
_STYLES = {"better": "bold green", "worse": "bold red", "baseline": "dim"}
_ROWS = {"baseline": "dim"}


class TerminalTable:
    """A renderable of Rich that takes the widest layout which leaves the rows' names legible."""

    def __init__(self, table: Table) -> None:
        shown = [i for i, heading in enumerate(table.headings[1:]) if not heading.aside]
        self.first = table.headings[0].text
        self.headings = [table.headings[i + 1] for i in shown]
        self.rows = [Row(row.name, tuple(row.cells[i] for i in shown), row.kind) for row in table.rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        for place, columns in enumerate(self._parts(width)):
            if place:
                yield Text()
            yield from self._part(columns, width)

    def _parts(self, width: int) -> list[list[int]]:
        """The columns of each table: all in one, or those that tell rows apart and as many others as fit."""
        every = list(range(len(self.headings)))
        keys = [i for i in every if self.headings[i].key]
        others = [i for i in every if i not in keys]
        if self._left(every, width) or any(heading.beside for heading in self.headings) or not others:
            return [every]
        # Where not even one column leaves room for the names, these have lines of their own.
        fits = self._left if self._left([*keys, others[0]], width) else self._below
        parts = [[*keys, others[0]]]
        for i in others[1:]:
            if fits([*parts[-1], i], width):
                parts[-1].append(i)
            else:
                parts.append([*keys, i])
        return parts

    def _part(self, columns: list[int], width: int) -> Iterator[RichTable | Text | Padding]:
        numbers = [i for i in columns if not self.headings[i].beside]
        if left := self._left(columns, width):
            yield self._one_line(columns, left)
        elif self._below(numbers, width):
            yield from self._two_lines(columns, numbers, width)
        else:
            yield from (self._paragraph(row, columns, numbers) for row in self.rows)

    def _left(self, columns: Sequence[int], width: int) -> int:
        """The width left for names beside ``columns``; 0 where it is too little."""
        left = width - sum(_GAP + cells for cells in self._widths(columns))
        return left if all(_legible(name, left) for name in (self.first, *(row.name for row in self.rows))) else 0

    def _below(self, columns: Sequence[int], width: int) -> bool:
        """Whether ``columns`` fit where names have lines of their own."""
        widths = self._widths(columns)
        return sum(widths) + _GAP * (len(widths) - 1) <= width

    def _widths(self, columns: Sequence[int]) -> list[int]:
        return [_widest([self.headings[i].text, *(_lines(row.cells[i]) for row in self.rows)]) for i in columns]

    def _one_line(self, columns: list[int], left: int) -> RichTable:
        # Rich adds one blank column of its own between cells.
        table = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        name = min(left, _widest([self.first, *(row.name for row in self.rows)]))
        table.add_column(Text(self.first), overflow="fold", width=name)
        for i in columns:
            table.add_column(Text(self.headings[i].text), justify=self.headings[i].align, no_wrap=True)
        for row in self.rows:
            method = Text("\n".join(wrap(row.name, name)))
            table.add_row(method, *(_cell(row.cells[i]) for i in columns), style=_ROWS.get(row.kind, ""))
        return table

    def _two_lines(self, columns: list[int], numbers: list[int], width: int) -> Iterator[RichTable | Text]:
        widths = self._widths(numbers)
        yield _numbers([Text(self.headings[i].text) for i in numbers], widths, "bold")
        yield Text("─" * min(width, sum(widths) + _GAP * (len(widths) - 1)))
        for row in self.rows:
            yield self._name(row, columns)
            yield _numbers([_cell(row.cells[i]) for i in numbers], widths, _ROWS.get(row.kind, ""))

    def _name(self, row: Row, columns: list[int]) -> Text:
        name = Text(row.name, style="bold")
        for i in columns:
            if self.headings[i].beside:
                name = Text.assemble(name, ": ", _cell(row.cells[i]))
        return name

    def _paragraph(self, row: Row, columns: list[int], numbers: list[int]) -> Padding:
        said = [
            f"{_title(self.headings[i])} {', '.join([row.cells[i].words, *row.cells[i].below])}"
            for i in numbers
            if row.cells[i].words
        ]
        return Padding(self._name(row, columns) + Text("\n" + "; ".join(said)), (0, 0, 1, 0), expand=False)


def _title(heading: Heading) -> str:
    return " ".join(heading.text.split())


def _lines(cell: Cell) -> str:
    return "\n".join([cell.words, *cell.below])


def _cell(cell: Cell) -> Text:
    """A cell, its verdict or the verdict's mark in a colour."""
    text = Text(_lines(cell))
    if cell.verdict:
        text.stylize(_STYLES.get(cell.verdict, "dim" if cell.mark else ""), 0, len(cell.mark or cell.text))
    return text


def _numbers(cells: Sequence[Text], widths: Sequence[int], style: str) -> RichTable:
    table = RichTable.grid(padding=(0, _GAP, 0, 0))
    for width in widths:
        table.add_column(justify="right", width=width, no_wrap=True)
    table.add_row(*cells, style=style)
    return table


def _widest(cells: Sequence[str]) -> int:
    return max(cell_len(line) for cell in cells for line in cell.split("\n"))


def _legible(name: str, width: int) -> bool:
    """Whether a name fits in two lines without being cut inside a word."""
    return all(cell_len(piece.rstrip()) <= width for piece in breakable(name)) and len(wrap(name, width)) <= 2

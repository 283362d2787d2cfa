"""One task's numbers in the columns there are: a line a method, two lines a method, or a paragraph a method."""

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.report.marked import MARKS
from holdfast.report.table import Cells
from holdfast.report.text import breakable, wrap

_GAP = 2
"""Blank columns between cells."""
_STYLES = {"better": "bold green", "worse": "bold red", "baseline": "dim"}


class TaskTable:
    """A renderable of Rich that takes the widest layout which leaves the methods' names legible.

    ``level``: confidence level in words.
    """

    def __init__(self, rows: list[Cells], level: str) -> None:
        self.rows, self.level = rows, level

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        lines = [self._header(), *map(_line, self.rows)]
        # The verdict, the widest cell but the name, moves beside the name first.
        verdict = _widest(["verdict", *(row.verdict for row in self.rows)])
        total = sum(_GAP + cells for cells in _widths(lines))
        if all(_legible(row.method, width - total - _GAP - verdict) for row in self.rows):
            yield self._one_line(lines, width - total - _GAP - verdict)
        elif total - _GAP <= width:
            yield from self._two_lines(lines, width)
        else:
            yield from map(_paragraph, self.rows)

    def _header(self) -> list[str]:
        return ["runs", "mean ± std", "worst–best", f"difference [{self.level} CI]", "P(ahead)", "cost"]

    def _one_line(self, lines: list[list[str]], rest: int) -> Table:
        # Rich adds one blank column of its own between cells.
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
        name = min(rest, _widest(["method", *(row.method for row in self.rows)]))
        table.add_column("method", overflow="fold", width=name)
        for header in lines[0][:-1]:
            table.add_column(Text(header), justify="right", no_wrap=True)
        table.add_column("verdict", no_wrap=True)
        table.add_column(Text(lines[0][-1]), justify="right", no_wrap=True)
        for row, (*cells, cost) in zip(self.rows, lines[1:], strict=True):
            method = Text("\n".join(wrap(row.method, name)))
            verdict = Text(row.verdict, style=_STYLES.get(row.verdict, ""))
            table.add_row(method, *map(Text, cells), verdict, Text(cost), style="dim" if row.baseline else "")
        return table

    def _two_lines(self, lines: list[list[str]], width: int) -> Iterator[RenderableType]:
        widths = _widths(lines)
        yield _numbers(lines[0], widths, "bold")
        yield Text("─" * min(width, sum(widths) + _GAP * (len(widths) - 1)))
        for row, line in zip(self.rows, lines[1:], strict=True):
            yield _title(row)
            yield _numbers(line, widths, "dim" if row.baseline else "")


class NumbersTable:
    """A renderable of Rich: a name a row and cells under ``header``, in as many lines as the width asks for.

    ``breaks`` is the column from which the cells go into a table of their own where one is too wide; the first
    column, which tells rows of one name apart, stands in both.
    """

    def __init__(
        self, names: Sequence[str], header: Sequence[str], lines: Sequence[Sequence[str]], breaks: int
    ) -> None:
        self.names, self.breaks = names, breaks
        self.lines = [list(line) for line in (header, *lines)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self.breaks == len(self.lines[0]) or self._left(self.lines, width):
            yield from self._part(self.lines, width)
        else:
            yield from self._part([line[: self.breaks] for line in self.lines], width)
            yield Text()
            yield from self._part([line[:1] + line[self.breaks :] for line in self.lines], width)

    def _left(self, lines: list[list[str]], width: int) -> int:
        """The columns left for names; 0 where they are too few."""
        left = width - sum(_GAP + cells for cells in _widths(lines))
        return left if all(_legible(name, left) for name in self.names) else 0

    def _part(self, lines: list[list[str]], width: int) -> Iterator[RenderableType]:
        widths = _widths(lines)
        if left := min(self._left(lines, width), _widest([*self.names, "method"])):
            table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
            table.add_column("method", width=left)
            for title in lines[0]:
                table.add_column(Text(title), justify="right", no_wrap=True)
            for name, line in zip(self.names, lines[1:], strict=True):
                table.add_row(Text("\n".join(wrap(name, left))), *map(_cell, line))
            yield table
        elif sum(widths) + _GAP * (len(widths) - 1) <= width:
            yield _numbers(lines[0], widths, "bold")
            for name, line in zip(self.names, lines[1:], strict=True):
                yield Text(name, style="bold")
                yield _numbers(line, widths, "")
        else:
            for name, line in zip(self.names, lines[1:], strict=True):
                titles = [" ".join(title.split()) for title in lines[0]]
                said = "; ".join(f"{title} {cell}" for title, cell in zip(titles, line, strict=True))
                yield Text(name, style="bold") + Text(f"\n{said}")


class BlocksTable:
    """A renderable of Rich: a name a row and any number of columns, in as many tables as the width asks for.

    Headings may have several lines. The first ``keep`` columns, which tell rows of one name apart, stand in every
    table.
    """

    def __init__(
        self, names: Sequence[str], header: Sequence[str], lines: Sequence[Sequence[str]], keep: int = 0
    ) -> None:
        self.names, self.keep = names, keep
        self.lines = [list(line) for line in (header, *lines)]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        start, end = self.keep, len(self.lines[0])
        while start < end:
            stop = start + 1
            while stop < end and self._fits(start, stop + 1, options.max_width):
                stop += 1
            if start > self.keep:
                yield Text()
            block = [line[: self.keep] + line[start:stop] for line in self.lines]
            yield NumbersTable(self.names, block[0], block[1:], len(block[0]))
            start = stop

    def _fits(self, start: int, stop: int, width: int) -> bool:
        widths = _widths([line[: self.keep] + line[start:stop] for line in self.lines])
        # Where not even one column leaves room for the names, these have lines of their own.
        first = _widths([line[: self.keep] + line[start : start + 1] for line in self.lines])
        beside = all(_legible(name, width - sum(_GAP + cells for cells in first)) for name in self.names)
        if not beside:
            return sum(widths) + _GAP * (len(widths) - 1) <= width
        return all(_legible(name, width - sum(_GAP + cells for cells in widths)) for name in self.names)


def _line(row: Cells) -> list[str]:
    runs = "\n".join([row.runs, *row.troubles])
    spread = row.spread + (f"\ntrained {row.trained}" if row.trained else "")
    difference = f"{row.difference} {row.interval}".strip()
    trained = f"\ntrained {row.trained_difference}" if row.trained_difference else ""
    return [runs, spread, row.range, difference + trained, row.ahead, row.cost]


def _numbers(line: list[str], widths: list[int], style: str) -> Table:
    table = Table.grid(padding=(0, _GAP, 0, 0))
    for width in widths:
        table.add_column(justify="right", width=width, no_wrap=True)
    table.add_row(*map(_cell, line), style=style)
    return table


def _cell(text: str) -> Text:
    """A cell, its verdict's mark in the verdict's colour."""
    cell = Text(text)
    for verdict, mark in MARKS.items():
        if text.startswith(mark):
            cell.stylize(_STYLES.get(verdict, "dim"), 0, len(mark))
    return cell


def _title(row: Cells) -> Text:
    return Text.assemble((row.method, "bold"), ": ", (row.verdict, _STYLES.get(row.verdict, "")))


def _paragraph(row: Cells) -> Padding:
    sayings = [f"runs {', '.join([row.runs, *row.troubles])}", f"mean ± std {row.spread}", f"worst–best {row.range}"]
    if not row.baseline:
        sayings += [f"difference {row.difference} {row.interval}".rstrip(), f"P(ahead) {row.ahead}"]
    if row.trained:
        sayings.append(f"mean of trained runs {row.trained}")
    if row.trained_difference:
        sayings.append(f"difference among trained runs {row.trained_difference}")
    text = _title(row) + Text("\n" + "; ".join([*sayings, f"cost {row.cost}"]))
    return Padding(text, (0, 0, 1, 0), expand=False)


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    return [_widest(list(column)) for column in zip(*lines, strict=True)]


def _widest(cells: list[str]) -> int:
    return max(cell_len(line) for cell in cells for line in cell.split("\n"))


def _legible(name: str, width: int) -> bool:
    """Whether a name fits in two lines without being cut inside a word."""
    return all(cell_len(piece.rstrip()) <= width for piece in breakable(name)) and len(wrap(name, width)) <= 2

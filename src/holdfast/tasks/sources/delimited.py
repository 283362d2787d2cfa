"""CSV and TSV text into a Table: every row, by the one layout that fits all lines, or a question."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading, named_separator
from holdfast.tasks.characters import normal
from holdfast.tasks.column_names import KNOWN
from holdfast.tasks.sources.header import name_columns
from holdfast.tasks.table import Table, counted

_LONGEST_CELL = 50_000_000
"""Characters; Python's own limit of 131,072 would refuse long documents."""

_SEPARATORS = (",", ";", "\t", "|")
_PLURAL = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}

_LINES_TOLD_BY_CELLS = 3
"""So many lines inside one cell that each have as many cells as the header are rows, whatever they hold."""


@dataclass(frozen=True)
class _Layout:
    """One way to cut lines into cells."""

    separator: str
    quote: Literal['"', "'"] | None = '"'
    blank: bool = False
    """Blanks after a separator are no part of the cell."""
    escaped: bool = False
    """A quotation mark inside a quoted cell follows a backslash."""

    def notes(self, usual: str) -> list[str]:
        """Say what differs from the file type's usual layout."""
        notes = []
        if self.separator != usual:
            notes.append(f"columns are separated by {_PLURAL.get(self.separator, repr(self.separator))}")
        if self.quote is None:
            notes.append("quotation marks are read as ordinary characters (--read quotes=yes if they enclose cells)")
        if self.quote == "'":
            notes.append("single quotation marks enclose cells (--read quotes=no if they do not)")
        if self.escaped:
            notes.append("a backslash before a quotation mark makes it part of the cell")
        if self.blank:
            notes.append("blanks after separators are left out")
        return notes


_WAYS = (
    _Layout(""),
    _Layout("", blank=True),
    _Layout("", escaped=True),
    _Layout("", quote="'"),
    _Layout("", quote=None),
)
"""Ways to quote, the usual first; each is tried where no separator makes sense of the file in those before it."""


@dataclass(frozen=True)
class _Record:
    """One row of cells, and the lines of the file that it stands on, counted from 1."""

    start: int
    end: int
    cells: list[str]


@dataclass(frozen=True)
class _Attempt:
    """What a layout makes of the file; ``problem`` says why it cannot be meant."""

    layout: _Layout
    records: list[_Record]
    problem: str = ""
    notes: tuple[str, ...] = ()
    width: int = 0


def read_delimited(place: str, text: str, usual: str, reading: Reading) -> Table:
    """Read text with a header line; all values stay text. ``usual``: the separator that the file's ending promises.

    The layout is the one in which every row has as many cells as the header and no quoted cell swallows rows:
    separators and quotes other than the usual are found, and told. Rows without any value, a repeated header, and
    cells beyond the header that are all empty are left out, and told. Raises ``HoldfastError`` naming the line for
    ragged rows, open quotes and bad headers, and where two layouts fit.
    """
    lines = re.split(r"\r\n|\r|\n", text)
    first = next(i for i, line in enumerate(lines) if line.strip())
    notes = []
    declared = re.fullmatch(r'"?sep=(.)"?', lines[first].strip(" "), re.IGNORECASE)
    if declared:
        # Spreadsheets write this line, and do not show it.
        lines[first] = ""
        text = "\n".join(lines)
        notes.append(f"{place}: line {first + 1} ({declared[0]}) says how columns are separated, and is no row")
        first = next((i for i, line in enumerate(lines) if line.strip()), first)
    given = reading.separator or (declared[1] if declared else None)
    attempt = _choose(place, text, lines, lines[first], given, usual, reading)
    notes += [f"{place}: {note}" for note in (*attempt.layout.notes(given or usual), *attempt.notes)]
    return _table(place, attempt, lines, tuple(notes), reading)


def _choose(
    place: str, text: str, lines: Sequence[str], header: str, given: str | None, usual: str, reading: Reading
) -> _Attempt:
    separators = [given] if given else [s for s in dict.fromkeys((usual, *_SEPARATORS)) if s in header] or [usual]
    ways = [way for way in _WAYS if reading.quotes is None or reading.quotes == (way.quote is not None)]
    refused: list[_Attempt] = []
    for way in ways:
        if way.quote is not None and way.quote not in text:
            if way is not _WAYS[0]:
                continue
        elif way.escaped and '\\"' not in text:
            continue
        tried = [_attempt(text, lines, replace(way, separator=one), reading) for one in separators]
        fitting = [one for one in tried if not one.problem and (one.width > 1 or len(separators) == 1)]
        if len(fitting) > 1:
            fitting = _likelier(fitting)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise _two_layouts(place, fitting)
        refused += tried
    # Of what does not fit, the layout with several columns that was tried first says best what is wrong.
    refusal = next((one for one in refused if one.width > 1), refused[0])
    if not refusal.problem:
        return refusal
    raise HoldfastError(f"{place}: {refusal.problem}")


def _likelier(attempts: list[_Attempt]) -> list[_Attempt]:
    """Return those of several fitting layouts that give a column of classes, and of these those of known names."""
    # Hardly any text holds a tab.
    attempts = [one for one in attempts if one.layout.separator == "\t"] or attempts
    classes = [one for one in attempts if any(_recurring(one.records[1:], one.width))] or attempts
    return [one for one in classes if {normal(cell).lower() for cell in one.records[0].cells} & KNOWN] or classes


def _two_layouts(place: str, attempts: list[_Attempt]) -> HoldfastError:
    shown = " or ".join(
        f"{_PLURAL.get(one.layout.separator, one.layout.separator)} ({', '.join(map(repr, one.records[0].cells[:4]))})"
        for one in attempts
    )
    options = " or ".join(f"--read separator={named_separator(one.layout.separator)}" for one in attempts)
    return HoldfastError(f"{place}: columns may be separated by {shown}; choose with {options}")


def _attempt(text: str, lines: Sequence[str], layout: _Layout, reading: Reading) -> _Attempt:
    try:
        records = _records(text, layout)
    except _BrokenQuoteError as error:
        return _Attempt(layout, [], str(error), width=lines[0].count(layout.separator) + 1)
    if not records:
        return _Attempt(layout, [], "the file holds no column names and no rows; give a file with data", width=1)
    records, notes = _without_fringe(records)
    width = len(records[0].cells)
    if not layout.blank and layout.quote and _has_blank_before_quote(records, layout.quote):
        return _Attempt(
            layout, records, "quoted cells follow a blank, which makes the quotes part of them", width=width
        )
    for record in records:
        if len(record.cells) != width:
            remedy = "put cells that hold the separator in double quotes"
            if width == 1:
                remedy = "remove what stands above the columns' names, or give their separator with --read separator="
            problem = f"line {record.start} has {len(record.cells)} cells where the header has {width}; {remedy}"
            return _Attempt(layout, records, problem, width=width)
    broken = [record for record in records if record.end > record.start]
    if broken and layout.quote is not None:
        swallowing = [] if reading.quotes else _swallowing(records, lines, layout)
        if swallowing:
            one = swallowing[0]
            problem = (
                f"the quotation mark in line {one.start} closes only in line {one.end}, and what it encloses reads "
                f"like rows; double it if it is part of the text, or give --read quotes=yes if it does enclose a cell"
            )
            return _Attempt(layout, records, problem, width=width)
        first = broken[0]
        where = f"lines {first.start} to {first.end}" if len(broken) == 1 else f"first in line {first.start}"
        notes.append(
            f"{counted(len(broken), 'row')} with line breaks inside quoted cells ({where}), each of several lines"
        )
    return _Attempt(layout, records, "", tuple(notes), width)


class _BrokenQuoteError(Exception):
    """A quote that never closes or closes in the middle of a cell; the message says where and what to do."""


def _records(text: str, layout: _Layout) -> list[_Record]:
    """Non-blank records. Raises ``_BrokenQuoteError``."""
    records: list[_Record] = []
    limit = csv.field_size_limit(_LONGEST_CELL)
    # strict: a quote that closes too early or never is an error instead of a merged or shortened cell.
    options: dict[str, Any] = {"quoting": csv.QUOTE_MINIMAL, "quotechar": layout.quote}
    if layout.quote is None:
        options = {"quoting": csv.QUOTE_NONE}
    if layout.escaped:
        options["escapechar"] = "\\"
    # newline="": line ends inside quoted cells stay as they are.
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=layout.separator, skipinitialspace=layout.blank, strict=True, **options)
    start = 1
    try:
        for cells in reader:
            # A line of blanks has one cell; a row of a table has more.
            if cells and (len(cells) > 1 or cells[0].strip()):
                records.append(_Record(start, reader.line_num, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise _BrokenQuoteError(
                f"the quote opened in the row at line {start} is never closed; close it or double the quotes"
            ) from error
        raise _BrokenQuoteError(
            f"line {start} has a misplaced quote ({error}); inside a quoted cell write quotes doubled"
        ) from error
    finally:
        csv.field_size_limit(limit)
    return records


def _without_fringe(records: list[_Record]) -> tuple[list[_Record], list[str]]:
    """Leave out what spreadsheets add around a table: rows without a value, and empty cells beyond the last column."""
    notes = []
    full = [record for record in records if any(cell.strip() for cell in record.cells)] or records[:1]
    if len(full) < len(records):
        notes.append(f"{counted(len(records) - len(full), 'row')} without any value left out")
    header = full[0].cells
    width = len(header)
    while width > 1 and not header[width - 1].strip():
        width -= 1
    longer = [record for record in full if len(record.cells) > width]
    if longer and not any(cell.strip() for record in longer for cell in record.cells[width:]):
        full = [replace(record, cells=record.cells[:width]) for record in full]
        notes.append(
            f"empty cells after column {width} left out ({counted(len(longer), 'line')} with a separator at the end)"
        )
    body = full[1:]
    numbered = [record.cells[0] for record in body] == [str(i) for i in range(1, len(body) + 1)]
    # R numbers rows without a heading; any other extra cell is a text that was cut at a separator.
    if body and numbered and all(len(record.cells) == len(header) + 1 for record in body):
        full = [replace(full[0], cells=["", *header]), *body]
        notes.append("the first cell of each row has no column name, and is taken as the row's number")
    return full, notes


def _has_blank_before_quote(records: list[_Record], quote: str) -> bool:
    pattern = re.compile(rf"\s+{quote}.*{quote}\s*", re.DOTALL)
    return any(pattern.fullmatch(cell) for record in records for cell in record.cells if quote in cell)


def _swallowing(records: list[_Record], lines: Sequence[str], layout: _Layout) -> list[_Record]:
    """Return the records whose quoted cell holds whole rows: a quotation mark that encloses nothing opened it."""
    width = len(records[0].cells)
    known = _recurring([record for record in records if record.start == record.end], width)
    swallowing = []
    for record in records:
        inner = [line.split(layout.separator) for line in lines[record.start - 1 : record.end - 1]]
        rows = [cells for cells in inner if len(cells) == width]
        telling = any(cell.strip('"') in known[i] for cells in rows for i, cell in enumerate(cells))
        if rows and (telling or (len(rows) == len(inner) >= _LINES_TOLD_BY_CELLS and width > 1)):
            swallowing.append(record)
    return swallowing


def _recurring(records: Sequence[_Record], width: int) -> list[set[str]]:
    """Of each column with few different values, as one of classes has, those that recur."""
    fields = []
    for i in range(width):
        counts = Counter(record.cells[i] for record in records)
        few = 2 * len(counts) <= len(records)
        fields.append({value for value, count in counts.items() if count > 1 and value.strip()} if few else set())
    return fields


def _table(place: str, attempt: _Attempt, lines: Sequence[str], notes: tuple[str, ...], reading: Reading) -> Table:
    records = attempt.records
    cells = [record.cells for record in records]
    names, used, remarks = name_columns(place, records[0].start, cells, reading.header)
    body = records if reading.header is False else records[1:]
    repeated = [record for record in body if record.cells == records[0].cells and reading.header is not False]
    if repeated:
        body = [record for record in body if record.cells != records[0].cells]
        remarks = (
            *remarks,
            f"{counted(len(repeated), 'row')} equal to the header left out (first in line {repeated[0].start})",
        )
    columns = {name: [record.cells[i] for record in body] for name, i in zip(names, used, strict=True)}
    numbers = [record.start for record in body]
    return Table(
        place,
        columns,
        numbers,
        notes=(*notes, *(f"{place}: {one}" for one in remarks)),
        lines=sum(1 for line in lines[0 if reading.header is False else records[0].end :] if line.strip()),
    )

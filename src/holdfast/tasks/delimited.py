"""CSV and TSV text into a Table, with every broken row named by its line."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Literal

from holdfast.errors import HoldfastError
from holdfast.tasks.table import Table

_LONGEST_CELL = 50_000_000
"""Characters; Python's own limit of 131,072 would refuse long documents."""


def read_delimited(place: str, text: str, delimiter: str) -> Table:
    """Read text with a header line; all values stay text.

    A ``.csv`` whose header has no comma but semicolons or tabs is read with those, and told. A TSV in which
    quotes are not used for quoting is read with quotes as ordinary characters, and told. Raises
    ``HoldfastError`` naming the line for ragged rows, open quotes and bad headers.
    """
    notes = []
    header = text.lstrip("\r\n").splitlines()[0]
    if delimiter == "," and "," not in header:
        for other, name in ((";", "semicolons"), ("\t", "tabs")):
            if other in header:
                delimiter = other
                notes.append(f"{place}: columns are separated by {name}")
                break
    try:
        records = _records(place, text, delimiter, quoted=True)
    except HoldfastError as error:
        # Many TSV exports never quote, so that a text may start with a quotation mark.
        if delimiter != "\t":
            raise
        try:
            records = _records(place, text, delimiter, quoted=False)
        except HoldfastError:
            raise error from None
        notes.append(f"{place}: quotation marks are read as ordinary characters")
    (line, names), rows = records[0], records[1:]
    _check_header(place, line, names)
    columns = {name: [cells[i] for _, cells in rows] for i, name in enumerate(names)}
    return Table(place, columns, [number for number, _ in rows], notes=tuple(notes))


def _records(place: str, text: str, delimiter: str, quoted: bool) -> list[tuple[int, list[str]]]:
    """Non-blank records, each with the line it starts on; all have as many cells as the first."""
    records: list[tuple[int, list[str]]] = []
    limit = csv.field_size_limit(_LONGEST_CELL)
    # strict: a quote that closes too early or never is an error instead of a merged or shortened cell.
    # newline="": line ends inside quoted cells stay as they are.
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                records.append((start, cells))
            start = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise HoldfastError(
                f"{place}: the quote opened in the row at line {start} is never closed; close it or double the quotes"
            ) from error
        raise HoldfastError(
            f"{place}: line {start} has a misplaced quote ({error}); inside a quoted cell write quotes doubled"
        ) from error
    finally:
        csv.field_size_limit(limit)
    width = len(records[0][1])
    for line, cells in records:
        if len(cells) != width:
            raise HoldfastError(
                f"{place}: line {line} has {len(cells)} cells where the header has {width}; "
                f"put cells that hold the separator in double quotes"
            )
    return records


def _check_header(place: str, line: int, names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise HoldfastError(f"{place}: the column name {repeated[0]!r} occurs twice in line {line}; rename one of them")
    # The first name is empty where a data frame was saved with its index.
    unnamed = [i for i, name in enumerate(names, start=1) if not name.strip() and i > 1]
    if unnamed:
        raise HoldfastError(f"{place}: column {unnamed[0]} has no name in line {line}; name every column")
    numbers = [name for name in names if is_number(name)]
    if numbers:
        raise HoldfastError(
            f"{place}: line {line} should hold column names but reads like data ({numbers[0]!r}); "
            f"add a header line such as 'text,label'"
        )


def is_number(text: str) -> bool:
    """Whether a text is written as a finite or infinite number (``nan`` is none)."""
    try:
        return float(text) == float(text)
    except ValueError:
        return False

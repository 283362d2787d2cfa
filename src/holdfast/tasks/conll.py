"""Files of the CoNLL shared tasks: a word and its class a line, an empty line between sentences."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.tasks.table import Table

_DOCUMENT = "-DOCSTART-"


def read_conll(place: str, text: str) -> Table:
    """Return a row for each sentence: ``tokens``, the first column's words, and ``tags``, the last column's classes.

    Columns stand apart by tabs, or in lines without any by spaces. Lines that begin a document are left out, and so
    are comments: lines that begin with ``#`` and are no word, having another number of columns than the words or a
    last column that is the class of no other word. Raises ``HoldfastError`` naming the line that does not fit.
    """
    lines = {number: line.rstrip() for number, line in enumerate(text.split("\n"), start=1)}
    parts = {number: _columns(line) for number, line in lines.items() if line and not line.startswith(_DOCUMENT)}
    plain = [columns for number, columns in parts.items() if not lines[number].startswith("#")]
    if not plain:
        raise HoldfastError(f"{place}: it holds no words; write a word and its class a line")
    width, classes = len(plain[0]), {columns[-1] for columns in plain}
    comments = {
        number
        for number, columns in parts.items()
        if lines[number].startswith("#") and (len(columns) != width or columns[-1] not in classes)
    }
    sentences: list[list[list[str]]] = []
    rows: list[int] = []
    inside = False
    for number in lines:
        if number in comments:
            continue
        if number not in parts:
            inside = False
            continue
        _check(place, number, parts[number], width)
        if not inside:
            sentences.append([])
            rows.append(number)
            inside = True
        sentences[-1].append(parts[number])
    columns = {
        "tokens": [[word for word, *_ in sentence] for sentence in sentences],
        "tags": [[tag for *_, tag in sentence] for sentence in sentences],
    }
    lines_told = f"{len(comments)} comment line{'s' if len(comments) > 1 else ''}"
    notes = (f"{place}: {lines_told} left out",) if comments else ()
    return Table(place, columns, rows, notes=notes)


def _columns(line: str) -> list[str]:
    return [part.strip() for part in line.split("\t")] if "\t" in line else line.split()


def _check(place: str, number: int, columns: list[str], width: int) -> None:
    if len(columns) < 2:
        raise HoldfastError(f"{place}: line {number} holds {columns[0]!r} alone; write a word and its class a line")
    if len(columns) != width:
        raise HoldfastError(
            f"{place}: line {number} has {len(columns)} columns and the first word's line {width}; "
            f"write the same columns in every line"
        )
    if not columns[0] or not columns[-1]:
        raise HoldfastError(f"{place}: line {number} has no {'class' if columns[0] else 'word'}; write both")

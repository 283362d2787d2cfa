"""One local file into a Table, without guessing types: "NA" stays a text and "01" stays "01"."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.tasks.conll import read_conll
from holdfast.tasks.decoding import decode
from holdfast.tasks.delimited import read_delimited
from holdfast.tasks.reading import Reading
from holdfast.tasks.table import Table

_BY_ITSELF = Reading()


def read_table(path: Path, reading: Reading = _BY_ITSELF) -> Table:
    """Read a ``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``, ``.conll``, ``.bio`` or ``.iob`` file.

    Raises ``HoldfastError`` naming the file, the line and the remedy when it cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise HoldfastError(f"{path}: unknown file type {path.suffix!r}; give one of {', '.join(READERS)}")
    try:
        table = reader(path, reading)
    except OSError as error:
        raise HoldfastError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
    if not len(table):
        raise HoldfastError(f"{path}: no rows below the column names; give a file with data")
    return table


def _delimited(path: Path, reading: Reading) -> Table:
    text, notes = decode(str(path), path.read_bytes(), reading.encoding)
    table = read_delimited(str(path), text, "\t" if path.suffix.lower() == ".tsv" else ",", reading)
    return replace(table, notes=(*notes, *table.notes))


def _jsonl(path: Path, reading: Reading) -> Table:
    text, notes = decode(str(path), path.read_bytes(), reading.encoding)
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    # Only "\n" ends a line: JSON texts may hold U+2028 and U+0085, at which str.splitlines would cut.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise HoldfastError(f"{path}: line {number} is not JSON ({reason}); write one object a line") from error
        if not isinstance(value, dict):
            raise HoldfastError(f"{path}: line {number} is not a JSON object; write one object of columns a line")
        objects.append(value)
        lines.append(number)
    names = list(dict.fromkeys(name for value in objects for name in value))
    columns = {name: [value.get(name) for value in objects] for name in names}
    return Table(str(path), columns, lines, notes=notes, lines=len(lines))


def _conll(path: Path, reading: Reading) -> Table:
    text, notes = decode(str(path), path.read_bytes(), reading.encoding)
    table = read_conll(str(path), text.replace("\r\n", "\n").replace("\r", "\n"))
    return replace(table, notes=(*notes, *table.notes))


def _parquet(path: Path, reading: Reading) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        data = parquet.ParquetFile(path).read()
    except (pyarrow.ArrowException, ValueError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise HoldfastError(f"{path}: not a readable Parquet file ({reason}); write it again") from error
    duplicates = sorted({name for name in data.column_names if data.column_names.count(name) > 1})
    if duplicates:
        raise HoldfastError(f"{path}: the column name {duplicates[0]!r} occurs twice; rename one of the columns")
    return Table(str(path), data.to_pydict(), list(range(1, data.num_rows + 1)), unit="row")


READERS: dict[str, Callable[[Path, Reading], Table]] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    **dict.fromkeys((".conll", ".bio", ".iob"), _conll),
}
"""How each file type is read, by the ending of its name."""

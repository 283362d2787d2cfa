"""One local file into a Table, without guessing types: "NA" stays a text and "01" stays "01"."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.tasks.conll import read_conll
from holdfast.tasks.delimited import read_delimited
from holdfast.tasks.table import Table

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_table(path: Path) -> Table:
    """Read a ``.csv``, ``.tsv``, ``.jsonl``, ``.parquet``, ``.conll``, ``.bio`` or ``.iob`` file.

    Raises ``HoldfastError`` naming the file, the line and the remedy when it cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise HoldfastError(f"{path}: unknown file type {path.suffix!r}; give one of {', '.join(READERS)}")
    try:
        table = reader(path)
    except OSError as error:
        raise HoldfastError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
    if not len(table):
        raise HoldfastError(f"{path}: no rows below the column names; give a file with data")
    return table


def _csv(path: Path) -> Table:
    return read_delimited(str(path), _text(path), ",")


def _tsv(path: Path) -> Table:
    return read_delimited(str(path), _text(path), "\t")


def _jsonl(path: Path) -> Table:
    objects: list[dict[str, Any]] = []
    lines: list[int] = []
    # Only "\n" ends a line: JSON texts may hold U+2028 and U+0085, at which str.splitlines would cut.
    for number, line in enumerate(_text(path).split("\n"), start=1):
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
    return Table(str(path), {name: [value.get(name) for value in objects] for name in names}, lines)


def _conll(path: Path) -> Table:
    return read_conll(str(path), _text(path))


def _parquet(path: Path) -> Table:
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


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(_UTF16_MARKS):
        raise HoldfastError(f"{path}: byte 0 (line 1) starts a UTF-16 file; save it as UTF-8")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise HoldfastError(
            f"{path}: byte {error.start} (line {line}) is not UTF-8; save the file as UTF-8 "
            f"(for Latin-1: iconv -f latin1 -t utf-8)"
        ) from error
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise HoldfastError(f"{path}: line {line} holds a NUL byte, so this is no text file; save it as UTF-8 text")
    text = text.removeprefix(_UTF8_MARK.decode())
    if not text.strip():
        raise HoldfastError(f"{path}: the file is empty; give a file with column names and rows")
    return text


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    **dict.fromkeys((".conll", ".conllu", ".bio", ".iob", ".iob2"), _conll),
}
"""How each file type is read, by the ending of its name."""

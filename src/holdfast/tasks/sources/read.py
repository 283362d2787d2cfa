"""One local file into a Table, without guessing types: "NA" stays a text and "01" stays "01"."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.tasks.sources.conll import is_conll, read_conll
from holdfast.tasks.sources.decoding import decode
from holdfast.tasks.sources.delimited import read_delimited
from holdfast.tasks.sources.objects import read_document, read_lines
from holdfast.tasks.table import Table

_BY_ITSELF = Reading()


def read_table(path: Path, reading: Reading = _BY_ITSELF) -> Table:
    """Read a file of one of the types of ``READERS``; those of text may be gzipped.

    Raises ``HoldfastError`` naming the file, the line and the remedy when it cannot be read.
    """
    reader = READERS.get(file_type(path))
    if reader is None:
        raise HoldfastError(other_type(path))
    try:
        table = reader(path, reading)
    except OSError as error:
        raise HoldfastError(f"{path}: cannot be read ({error.strerror or error}); check the file") from error
    if not len(table):
        raise HoldfastError(f"{path}: no rows below the column names; give a file with data")
    return table


def file_type(path: Path) -> str:
    """Return the ending that says how a file is read, in lower case: that before ``.gz`` where it is compressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()


def other_type(path: Path) -> str:
    """Say what a file is that none of ``READERS`` reads, and what to do with it."""
    what = _OTHER_TYPES.get(path.suffix.lower(), "an unknown file type")
    return f"{path}: {path.suffix!r} is {what}; give one of {', '.join(READERS)}"


def _delimited(path: Path, text: str, reading: Reading) -> Table:
    usual = "\t" if file_type(path) == ".tsv" else ","
    if usual == "\t" and is_conll(text):  # GermEval and its kin call their files so.
        return _conll(path, text, reading)
    return read_delimited(str(path), text, usual, reading)


def _jsonl(path: Path, text: str, reading: Reading) -> Table:
    table = read_lines(str(path), text)
    return replace(table, lines=len(table))


def _json(path: Path, text: str, reading: Reading) -> Table:
    return read_document(str(path), text)


def _conll(path: Path, text: str, reading: Reading) -> Table:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return replace(read_conll(str(path), text), lines=sum(1 for line in text.split("\n") if line.strip()))


def _of_text(reader: Callable[[Path, str, Reading], Table]) -> Callable[[Path, Reading], Table]:
    def read(path: Path, reading: Reading) -> Table:
        text, notes = decode(str(path), _bytes(path), reading.encoding)
        table = reader(path, text, reading)
        return replace(table, notes=(*notes, *table.notes))

    return read


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


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise HoldfastError(f"{path}: cannot be unpacked ({error}); compress the file again") from error


READERS: dict[str, Callable[[Path, Reading], Table]] = {
    **dict.fromkeys((".csv", ".tsv"), _of_text(_delimited)),
    **dict.fromkeys((".jsonl", ".ndjson"), _of_text(_jsonl)),
    ".json": _of_text(_json),
    ".parquet": _parquet,
    **dict.fromkeys((".conll", ".conllu", ".bio", ".iob", ".iob2"), _of_text(_conll)),
}
"""How each file type is read, by the ending of its name."""

_OTHER_TYPES = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), "a spreadsheet: save its sheet as CSV"),
    **dict.fromkeys((".zip", ".7z", ".tar", ".tgz", ".rar", ".bz2", ".xz", ".zst", ".gz"), "an archive: unpack it"),
    **dict.fromkeys((".arrow", ".feather"), "an Arrow file: write it with Dataset.to_parquet or to_json"),
    **dict.fromkeys(
        (".txt", ".text", ".md"),
        "plain text of unknown columns: rename it by what it holds (.tsv, .conll)",
    ),
    **dict.fromkeys((".pkl", ".pickle", ".npy", ".npz", ".pt"), "a file that only Python reads: write it as Parquet"),
    **dict.fromkeys((".xml", ".html", ".htm", ".yaml", ".yml"), "no table: write its rows as JSON Lines"),
    **dict.fromkeys((".doc", ".docx", ".pdf", ".odt"), "a document: write its rows as CSV"),
}
"""What else people give, and what to do with it."""

"""One local file into a Table, without guessing types: "NA" stays a text and "01" stays "01"."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.tasks.conll import is_conll, read_conll
from holdfast.tasks.delimited import read_delimited
from holdfast.tasks.objects import read_document, read_lines
from holdfast.tasks.table import Table

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_table(path: Path) -> Table:
    """Read a file of one of the types of ``READERS``; those of text may be gzipped.

    Raises ``HoldfastError`` naming the file, the line and the remedy when it cannot be read.
    """
    reader = READERS.get(file_type(path))
    if reader is None:
        raise HoldfastError(other_type(path))
    try:
        table = reader(path)
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


def _csv(path: Path) -> Table:
    return read_delimited(str(path), _text(path), ",")


def _tsv(path: Path) -> Table:
    text = _text(path)
    # GermEval and its kin call their files so.
    return read_conll(str(path), text) if is_conll(text) else read_delimited(str(path), text, "\t")


def _jsonl(path: Path) -> Table:
    return read_lines(str(path), _text(path))


def _json(path: Path) -> Table:
    return read_document(str(path), _text(path))


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
    data = _bytes(path)
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


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix.lower() != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise HoldfastError(f"{path}: cannot be unpacked ({error}); compress the file again") from error


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
    **dict.fromkeys((".conll", ".conllu", ".bio", ".iob", ".iob2"), _conll),
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

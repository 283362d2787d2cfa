"""Files nobody foresaw: whatever they hold, each row comes out or its absence is told, and no traceback ends it.

``pytest tests/tasks/test_fuzzing.py --fuzz 20000`` tries that many files of all forms together.
"""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.sources.read import read_table
from holdfast.tasks.table import Table

_LETTERS = "abcz AZ019.,;|\t\"'\\#%-_=<>:/()é\u0301ßжא中😀\u200b\u200d\u00a0\ufeff\u2028\u0085\r\n\x0b\x1c{}[]"
_CELLS = "|NA|nan|#N/A|null|None|0|1|1.0|01|2,5|85%|1e5|-1|True|yes|a text of words|text|label|sep=;|[1, 0]|b#a|_|O"
CELLS = st.text(_LETTERS, max_size=12) | st.sampled_from([*_CELLS.split("|"), " ", '{"a": 1}', "-DOCSTART-", "B-PER"])
_NAMES = (
    "text|label|Label |id||sentence1|sentence2|score|target|answer|tokens|ner_tags|prompt|completion|choice1|choice2"
)
NAMES = st.sampled_from([*_NAMES.split("|"), "1", "a,b", "a;b", "summary", "references"])
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "cp1251"])


@dataclass(frozen=True)
class File:
    """A file as something wrote it."""

    name: str
    content: bytes
    rows: int
    """How many it has, its header not among them."""
    header: bool = False
    cells: dict[str, list[str]] | None = None
    """What stands in them, where the writer quoted rightly."""


@st.composite
def tables(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> tuple[list[str], list[list[Any]]]:
    """Names of columns and rows of cells; half of them with a text and a class, so that they can be learned from."""
    if draw(st.booleans()):
        names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
        return names, draw(st.lists(st.lists(values, min_size=len(names), max_size=len(names)), min_size=1, max_size=9))
    classes = draw(st.lists(values, min_size=2, max_size=3))
    row = st.tuples(st.text(_LETTERS, min_size=1, max_size=12) | values, st.sampled_from(classes)).map(list)
    return ["text", "label"], draw(st.lists(row, min_size=6, max_size=12))


@st.composite
def delimited(draw: st.DrawFn) -> File:
    separator = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    names, body = draw(tables(CELLS))
    how = draw(st.sampled_from(["quoted", "where needed", "never", "sometimes"]))
    end = draw(ENDS)

    def cell(value: str) -> str:
        needs = any(character in value for character in f'{separator}"\r\n')
        if how == "never" or (how == "sometimes" and draw(st.booleans())):
            return re.sub("[\r\n]", " ", value)
        return f'"{value.replace(chr(34), chr(34) * 2)}"' if how == "quoted" or needs else value

    lines = [separator.join(map(cell, row)) for row in [names, *body]]
    after = draw(st.sampled_from(["", "", "", separator]))
    before = draw(st.sampled_from(["", "", "", f"sep={separator}", " "]))
    lines = ([before] if before else []) + [line + after for line in lines]
    text = end.join(lines) + draw(st.sampled_from(["", end, end + end]))
    suffix = ".tsv" if separator == "\t" and draw(st.booleans()) else draw(st.sampled_from([".csv", ".csv", ".tsv"]))
    encoding = draw(ENCODINGS)
    content = text.encode(encoding, errors="replace")
    sure = how in ("quoted", "where needed") and encoding.startswith("utf-8") and len(names) > 1
    cells = {name: [row[i] for row in body] for i, name in enumerate(names)} if sure else None
    return File("f" + suffix, content, len(body), True, cells)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.floats(width=32) | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "a"]), inner),
    max_leaves=4,
)


@st.composite
def json_lines(draw: st.DrawFn) -> File:
    names, body = draw(tables(draw(st.sampled_from([CELLS, CELLS | st.integers(0, 2), VALUES]))))
    rows = [{name: cell for name, cell in zip(names, row, strict=True) if draw(st.integers(0, 9))} for row in body]
    text = draw(st.sampled_from(["\n", "\r\n"])).join(map(json.dumps, rows))
    return File(draw(st.sampled_from(["f.jsonl", "f.JSONL"])), text.encode(draw(ENCODINGS)), len(body))


@st.composite
def json_documents(draw: st.DrawFn) -> File:
    names, body = draw(tables(draw(st.sampled_from([CELLS, VALUES]))))
    rows = [dict(zip(names, row, strict=True)) for row in body]
    columns = {name: [row[name] for row in rows] for name in names}
    document = draw(st.sampled_from([rows, {"data": rows}, columns]))
    content = json.dumps(document, indent=draw(st.sampled_from([None, 2]))).encode(draw(ENCODINGS))
    packed = draw(st.booleans())
    return File(f"f.json{'.gz' if packed else ''}", gzip.compress(content) if packed else content, len(body))


@st.composite
def conll(draw: st.DrawFn) -> File:
    blank = draw(st.sampled_from(["\t", " ", "  "]))
    width = draw(st.integers(1, 5))
    word = st.text("abcZ019.,-#_é中\u200b", min_size=1, max_size=5) | st.sampled_from(["O", "B-PER", "_", "-100", "#"])
    sentence = st.lists(st.lists(word, min_size=width, max_size=width), min_size=1, max_size=4)
    body = draw(st.lists(sentence, min_size=1, max_size=6))
    if draw(st.booleans()):
        body = [[[str(i), *line] for i, line in enumerate(one, start=1)] for one in body]
    end = draw(ENDS)
    text = (end + end).join(end.join(blank.join(line) for line in one) for one in body)
    content = text.encode(draw(ENCODINGS), errors="replace")
    return File(f"f{draw(st.sampled_from(['.conll', '.bio', '.iob']))}", content, len(body))


FORMS: dict[str, st.SearchStrategy[File]] = {
    "delimited": delimited(),
    "json lines": json_lines(),
    "json documents": json_documents(),
    "conll": conll(),
}
READINGS = st.none() | st.builds(
    Reading,
    missing=st.sampled_from([None, "drop", "keep"]),
    quotes=st.sampled_from([None, None, True, False]),
    header=st.sampled_from([None, None, True, False]),
)


def read(file: File, reader: Callable[[Path], Any]) -> Any:
    """What ``reader`` makes of the file, or None where it refuses it in one line that names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file.name)
        path.write_bytes(file.content)
        try:
            return reader(path)
        except HoldfastError as error:
            message = str(error)
            assert message.startswith((str(path), "--"))
            assert len(message.splitlines()) == 1, message
            assert len(message) > len(str(path)) + 10
            return None


def check(file: File, reading: Reading | None) -> None:
    table = read(file, lambda path: read_table(path, reading or Reading()))
    if isinstance(table, Table):
        assert all(len(values) == len(table) for values in table.columns.values())
        header = file.header and reading is not None and reading.header is False
        left_out = sum(int(count) for note in table.notes for count in re.findall(r"(\d+) rows? .*left out", note))
        told = any("line breaks" in note or re.search("comment lines? left out", note) for note in table.notes)
        # A row of one empty cell can't be told from a blank line, but one column is no task. What the user says of
        # quotation marks may be wrong.
        if not told and len(table.columns) > 1 and (reading is None or reading.quotes is None):
            assert len(table) + left_out == file.rows + header, table
        by_itself = reading is None or (reading.quotes is None and reading.header is None)
        if by_itself and file.cells is not None and not table.notes and list(table.columns) == list(file.cells):
            assert table.columns == file.cells
    task = read(file, lambda path: load_task(TaskSpec(source=str(path), read=reading)))
    if task is not None:
        rows = sum(map(len, task.splits.values()))
        gone = [int(n) for note in task.notes for n in re.findall(r"\((\d+) of \d+ rows: .*left out", note)]
        # A row may lack both its text and its label.
        assert len(table) - sum(gone) <= rows <= len(table) - max(gone, default=0)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_rows_in_are_rows_out_or_told(form: str, pytestconfig: pytest.Config) -> None:
    examples = pytestconfig.getoption("--fuzz")

    @settings(
        max_examples=examples // len(FORMS),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(FORMS[form], READINGS)
    def run(file: File, reading: Reading | None) -> None:
        check(file, reading)

    run()

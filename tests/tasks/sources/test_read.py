from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.sources.read import read_table
from tasks.conftest import Write

TRAPS = ["NA", "null", "None", "nan", "01", "1e5", "TRUE", " padded ", 'a "quoted" word', "a, b", "two\nlines"]
TRAPS += ["\u00e9\u2028x"]


ROWS = [{"text": "one text", "label": 0}, {"text": "another", "label": 1}]


@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"data": ROWS},
        {"version": "1.0", "data": ROWS, "splits": []},
        {name: [row[name] for row in ROWS] for name in ROWS[0]},
        {name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]},
        {str(i): row for i, row in enumerate(ROWS)},
        {"columns": ["text", "label"], "index": [0, 1], "data": [list(row.values()) for row in ROWS]},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_document_in_each_form_that_tables_are_saved_in(write: Write, document: Any, indent: int | None) -> None:
    table = read_table(write("a.json", json.dumps(document, indent=indent)))
    assert table.columns == {"text": ["one text", "another"], "label": [0, 1]}
    assert (table.rows, table.unit) == ([1, 2], "row")


def test_a_document_says_what_it_leaves_out(write: Write) -> None:
    table = read_table(write("a.json", json.dumps({"data": ROWS, "version": "1.0", "licence": "x"})))
    assert "its rows stand under 'data'; 'version', 'licence' left out" in table.notes[0]


def test_lines_and_lists_are_read_whatever_the_ending(write: Write) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    read = [read_table(write(name, lines)) for name in ("a.json", "a.jsonl", "a.ndjson")]
    read.append(read_table(write("b.jsonl", json.dumps(ROWS, indent=1))))
    assert all(table.columns == read[0].columns for table in read)
    one = read_table(write("c.jsonl", [{"tokens": ["a", "b"], "tags": ["x", "y"]}]))
    assert one.columns == {"tokens": [["a", "b"]], "tags": [["x", "y"]]}


@pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a.jsonl", "a.json"])
def test_gzipped_text_is_read_as_it_is(write: Write, name: str) -> None:
    content = "text,label\na b,1\n" if name.lower() == "a.csv" else json.dumps({"text": "a b", "label": "1"})
    plain = read_table(write(name, content))
    for ending in (".gz", ".GZ"):
        assert read_table(write(name + ending, gzip.compress(content.encode()))).columns == plain.columns


def test_csv_values_stay_the_texts_they_are(write: Write) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["text", "label"])
    writer.writerows([text, "x"] for text in TRAPS)
    table = read_table(write("a.csv", out.getvalue()))
    assert table.columns["text"] == TRAPS
    assert table.columns["label"] == ["x"] * len(TRAPS)


def test_json_lines_and_parquet_keep_texts_and_types(write: Write, tmp_path) -> None:
    import pyarrow
    from pyarrow import parquet

    rows = [{"text": text, "label": i} for i, text in enumerate(TRAPS)]
    table = read_table(write("a.jsonl", rows))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    for read in (table, read_table(tmp_path / "a.parquet")):
        assert read.columns == {"text": TRAPS, "label": list(range(len(TRAPS)))}


def test_row_numbers_are_the_lines_an_editor_shows(write: Write) -> None:
    table = read_table(write("a.csv", 'text,label\n"one\ntwo",a\n\nthree,b\n'))
    assert table.rows == [2, 5]
    assert read_table(write("a.jsonl", '\n{"a": 1}\n\n{"a": 2}\n')).rows == [2, 4]


def test_json_columns_missing_in_a_row_are_none(write: Write) -> None:
    table = read_table(write("a.jsonl", [{"a": 1}, {"b": 2}]))
    assert table.columns == {"a": [1, None], "b": [None, 2]}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(write: Write, newline: str) -> None:
    table = read_table(write("a.csv", newline.join(["text,label", "good,1", "bad,0", ""])))
    assert table.columns == {"text": ["good", "bad"], "label": ["1", "0"]}


def test_a_byte_order_mark_is_no_part_of_the_first_name(write: Write) -> None:
    for name, content in (("a.csv", b"\xef\xbb\xbftext,label\na,b\n"), ("a.jsonl", b'\xef\xbb\xbf{"text": "a"}\n')):
        assert next(iter(read_table(write(name, content)).columns)) == "text"


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_read_and_told(write: Write, separator: str, word: str) -> None:
    table = read_table(write("a.csv", f"text{separator}label\nwell, good{separator}1\n"))
    assert table.columns == {"text": ["well, good"], "label": ["1"]}
    assert word in table.notes[0]


def test_tsv_with_and_without_quoting(write: Write) -> None:
    quoted = read_table(write("a.tsv", 'text\tlabel\n"a\tb"\t1\n"said ""hi"""\t0\n'))
    assert quoted.columns["text"] == ["a\tb", 'said "hi"']
    assert quoted.notes == ()
    plain = read_table(write("b.tsv", 'text\tlabel\n"Stop" she said\t1\n"open\t0\n'))
    assert plain.columns["text"] == ['"Stop" she said', '"open']
    assert "ordinary characters" in plain.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", "", ["empty"]),
        ("a.csv", "\n  \n", ["empty"]),
        ("a.csv", "text,label\n", ["no rows"]),
        ("a.jsonl", "\n", ["empty"]),
        ("a.csv", "text,label\nfine,1\none, two,1\n", ["line 3", "3 cells", "2"]),
        ("a.csv", "text,label\nfine,1\nshort\n", ["line 3", "1 cells"]),
        ("a.csv", 'text,label\n"fine, too",1\n"open,1\nnext,0\n', ["line 3", "never closed"]),
        ("a.csv", 'text,label\n"fine, too",1\n"closed" early,1\n', ["line 3", "quote"]),
        ("a.csv", "text,label,text\na,1,b\n", ["'text'", "twice"]),
        ("a.csv", "text,,label\na,1,b\n", ["column 2", "no name"]),
        ("a.csv", "good film,1\nbad film,0\n", ["line 1", "header"]),
        ("a.tsv", "text\tlabel\na\tb\tc\n", ["line 2", "3 cells"]),
        ("a.csv", "text,label\ncaf\xe9,1\n".encode("latin1"), ["byte 14", "line 2", "UTF-8"]),
        ("a.csv", "text,label\na,1\n".encode("utf-16-le"), ["NUL", "line 1"]),
        ("a.jsonl", '{"a": 1}\n{"a": \n', ["line 2", "not JSON"]),
        ("a.jsonl", '{"a": 1}\n[1, 2]\n', ["line 2", "not a JSON object"]),
        ("a.parquet", "no parquet", ["Parquet"]),
        ("a.xlsx", "x", ["'.xlsx'", ".csv"]),
        ("a.xlsx", "x", ["a spreadsheet: save its sheet as CSV"]),
        ("a.txt", "x", ["plain text", "rename it by what it holds (.tsv, .conll)"]),
        ("a.zip", "x", ["an archive: unpack it"]),
        ("a.csv.gz", "x", ["cannot be unpacked", "compress the file again"]),
        ("a.gz", "x", ["'.gz'", "an archive"]),
        ("a", "x", ["''"]),
        ("a.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', ["line 2", "'a' occurs twice in one object"]),
        ("a.jsonl", "[" * 100_000, ["not JSON"]),
        ("a.json", "[1, 2]", ["row 1 is not a JSON object"]),
        ("a.json", '"text"', ["a single value"]),
        ("a.json", '{"text": ["a", "b"], "label": [1]}', ["'text' (2), 'label' (1)"]),
        ("a.json", '{"train": [{"a": 1}], "test": [{"a": 1}]}', ["under each of 'train', 'test'", "a file of its own"]),
        ("a.json", '{"x": {"text": "a"}, "y": {"text": "b"}}', ["objects of objects"]),
        ("a.json", '{"columns": ["a"], "data": [[1], [1, 2]]}', ["row 2 of 'data'"]),
        ("a.json", '[{"a": 1},\n {"a": }]', ["not JSON", "line 2"]),
        ("a.json", "[]", ["no rows"]),
    ],
)
def test_unreadable_files_are_named_with_the_place(write: Write, name: str, content: str | bytes, parts) -> None:
    path = write(name, content)
    with pytest.raises(HoldfastError) as error:
        read_table(path)
    message = str(error.value)
    assert "\n" not in message
    for part in [str(path), *parts]:
        assert part in message


def test_the_byte_offset_counts_a_byte_order_mark(write: Write) -> None:
    path = write("a.csv", b"\xef\xbb\xbfab\xff")
    assert path.read_bytes()[5] == 0xFF
    with pytest.raises(HoldfastError, match="byte 5 "):
        read_table(path)


def test_a_cell_longer_than_pythons_limit_is_read(write: Write) -> None:
    before = csv.field_size_limit()
    long = "word " * 40_000
    assert read_table(write("a.csv", f"text,label\n{long},1\n")).columns["text"] == [long]
    assert csv.field_size_limit() == before


def test_a_file_that_may_not_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.csv", "text,label\na,b\n")

    def refuse(self: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", refuse)
    with pytest.raises(HoldfastError, match="Permission denied"):
        read_table(path)

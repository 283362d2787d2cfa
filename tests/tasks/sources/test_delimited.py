"""Tables of text as spreadsheets, databases, editors and scripts leave them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.tasks.sources.read import read_table
from tasks.conftest import Write

TEXTS = ["fair price, good quality", "it failed, three times", "no time at all, so quick", "rude staff, and slow"]
LABELS = ["good", "bad", "good", "bad"]


def lines(form: Callable[[str, str], str], header: str, end: str = "") -> str:
    body = [form(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]
    return "\n".join([header, *body, end])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("sep=;\n" + lines(lambda t, n: f"{t};{n}", "text;label"), "says how columns are separated"),
        ('"sep=|"\n' + lines(lambda t, n: f"{t}|{n}", "text|label"), "says how columns are separated"),
        (lines(lambda t, n: f"{t}|{n}", "text|label"), "separated by bars"),
        (lines(lambda t, n: f"{t};{n}", "text;label"), "separated by semicolons"),
        (lines(lambda t, n: f'"{t}", "{n}"', "text, label"), "blanks after separators"),
        (lines(lambda t, n: f'"{t}",{n},', "text,label,"), "empty cells after column 2"),
        (lines(lambda t, n: f'"{t}",{n},', "text,label"), "empty cells after column 2"),
        (lines(lambda t, n: f'"{t}",,{n}', "text,,label"), "1 column without a name or a value"),
        (lines(lambda t, n: f'"{t}",{n}', "text,label", ",\n,\n"), "2 rows without any value"),
        (lines(lambda t, n: f"'{t}','{n}'", "'text','label'"), "single quotation marks enclose cells"),
        (lines(lambda t, n: f'"{t}",{n}', "text,label", "text,label\n"), "1 row equal to the header"),
    ],
)
def test_every_row_is_read_and_the_layout_told(write: Write, content: str, told: str) -> None:
    table = read_table(write("a.csv", content))
    assert table.columns == {"text": TEXTS, "label": LABELS}
    assert any(told in note for note in table.notes), table.notes


def test_names_of_columns_may_hold_the_other_separator(write: Write) -> None:
    quoted = lines(lambda t, n: f'"{t}";"{n}"', '"Comment, customer";"Label"')
    assert read_table(write("a.csv", quoted)).columns == {"Comment, customer": TEXTS, "Label": LABELS}
    # Each text has one comma, so commas give two columns as well; only semicolons give one that recurs.
    plain = lines(lambda t, n: f"{t};{n}", "Comment, customer;Verdict")
    assert read_table(write("b.csv", plain)).columns == {"Comment, customer": TEXTS, "Verdict": LABELS}


def test_two_layouts_that_fit_alike_are_asked_about(write: Write) -> None:
    path = write("a.csv", "".join(f"a{i},b{i};c{i}\n" for i in range(5)))
    with pytest.raises(HoldfastError, match=r"commas .* or semicolons .*--read separator=comma or .*=semicolon"):
        read_table(path)
    assert list(read_table(path, Reading(separator="semicolon")).columns) == ["a0,b0", "c0"]


def test_backslashes_before_quotes(write: Write) -> None:
    content = 'text,label\n"he said \\"no\\", twice",bad\n"fine, \\"really\\"",good\n'
    table = read_table(write("a.csv", content))
    assert table.columns["text"] == ['he said "no", twice', 'fine, "really"']


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_quotes_that_enclose_nothing_take_no_rows(write: Write, separator: str) -> None:
    rows = [f"text number {i}{separator}{('yes', 'no')[i % 2]}" for i in range(40)]
    rows[5] = '"' + rows[5]
    rows[20] = f'text number 20"{separator}yes'
    table = read_table(write("a.tsv" if separator == "\t" else "a.csv", "\n".join([f"text{separator}label", *rows])))
    assert len(table) == table.lines == 40
    assert table.columns["text"][5] == '"text number 5'
    assert any("ordinary characters" in note for note in table.notes)


def test_stray_quotes_beside_real_ones_are_refused_with_the_lines(write: Write) -> None:
    rows = [f'"text, number {i}",{("yes", "no")[i % 2]}' for i in range(40)]
    rows[5], rows[20] = '"text number 5,no', 'text number 20",yes'
    path = write("a.csv", "\n".join(["text,label", *rows]))
    with pytest.raises(HoldfastError, match=r"line 7 .*quote"):
        read_table(path)


def test_line_breaks_inside_cells_are_told(write: Write) -> None:
    content = 'text,label\n"dear all,\n\nthanks, bye",yes\nshort,no\n"a\nb",yes\n'
    table = read_table(write("a.csv", content))
    assert table.columns["text"] == ["dear all,\n\nthanks, bye", "short", "a\nb"]
    assert table.rows == [2, 5, 6]
    assert any("2 rows with line breaks inside quoted cells (first in line 2)" in note for note in table.notes)


def test_a_table_without_a_header(write: Write) -> None:
    path = write("a.csv", "so good,pos\nso bad,neg\nquite good,pos\n")
    with pytest.raises(HoldfastError, match=r"'pos' is a column name in line 1 .*--read header=no"):
        read_table(path)
    assert read_table(path, Reading(header=False)).columns == {
        "column 1": ["so good", "so bad", "quite good"],
        "column 2": ["pos", "neg", "pos"],
    }
    assert list(read_table(path, Reading(header=True)).columns) == ["so good", "pos"]


def test_row_numbers_without_a_heading(write: Write) -> None:
    table = read_table(write("a.csv", '"text","label"\n"1","so good","pos"\n"2","so bad","neg"\n'))
    assert table.columns == {"": ["1", "2"], "text": ["so good", "so bad"], "label": ["pos", "neg"]}
    # Every text cut at its comma gives one cell more as well.
    with pytest.raises(HoldfastError, match="line 2 has 3 cells"):
        read_table(write("b.csv", "text,label\ngood, cheap,pos\nbad, dear,neg\n"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_of_every_width(write: Write, encoding: str) -> None:
    table = read_table(write("a.csv", "text,label\nżółw,tak\nжук,nie\n".encode(encoding)))
    assert table.columns == {"text": ["żółw", "жук"], "label": ["tak", "nie"]}


def test_windows_punctuation_is_read_and_told(write: Write) -> None:
    table = read_table(write("a.csv", "text,label\nit’s “fair” – 5 €,yes\n".replace(" 5 €", "").encode("cp1252")))
    assert table.columns["text"] == ["it’s “fair” –"]
    assert "windows-1252" in table.notes[0]
    assert "it’s" in table.notes[0]


@pytest.mark.parametrize(("encoding", "text"), [("cp1252", "naïve"), ("cp1250", "żółw"), ("cp1251", "жук")])
def test_letters_that_could_be_several_are_asked_about(write: Write, encoding: str, text: str) -> None:
    path = write("a.csv", f"text,label\n{text},yes\n".encode(encoding))
    with pytest.raises(HoldfastError, match=r"byte \d+ \(line 2\) is not UTF-8.*--read encoding=NAME") as error:
        read_table(path)
    assert f"windows-{encoding[2:]} ('{text},yes')" in str(error.value)
    assert read_table(path, Reading(encoding=f"windows-{encoding[2:]}")).columns["text"] == [text]


def test_a_stray_byte_in_a_file_of_utf8_is_named(write: Write) -> None:
    path = write("a.csv", "text,label\ncafé au lait,yes\nñandú,no\n".encode() + b"na\xefve,yes\n")
    with pytest.raises(
        HoldfastError, match=r"byte 42 \(line 4, 'na\ufffdve,yes'\) is not UTF-8, and most of the rest is"
    ):
        read_table(path)


def test_tabs_separate_columns_wherever_they_do(write: Write) -> None:
    table = read_table(write("a.tsv", "well, Text\tlabel\n" + "".join(f"so, so {i}\t{i % 2}\n" for i in range(6))))
    assert list(table.columns) == ["well, Text", "label"]


@pytest.mark.parametrize("above", ["# exported by a tool\n", "Answers of May,\n"])
def test_lines_above_the_names_are_told(write: Write, above: str) -> None:
    with pytest.raises(HoldfastError, match="remove what stands above"):
        read_table(write("a.csv", above + "text,label\ngood,yes\nbad,no\n"))


def test_names_are_the_same_whatever_cannot_be_seen(write: Write) -> None:
    path = write("a.csv", "\u200btext ,lab\u00adel\u00a0,Cafe\u0301\na b,x,y\n")
    assert list(read_table(path).columns) == ["text", "label", "Café"]

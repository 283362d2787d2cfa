"""Any block in each of the three renderers: a section needs to know none of them."""

import io

import plotly.graph_objects as go
import pytest
from rich.cells import cell_len
from rich.console import Console

from holdfast.report import sections
from holdfast.report.block import Block, Cell, Details, Figures, Heading, Report, Row, Table
from holdfast.report.figures.style import Panel, frame
from holdfast.report.markdown import markdown
from holdfast.report.page import page
from holdfast.report.terminal import show
from report.rendered import report
from report.test_markdown import parsed
from report.test_page import Page

TABLE = Table(
    (
        Heading("method", "left"),
        Heading("rows", key=True),
        Heading("score"),
        Heading("of\nothers"),
        Heading("verdict", "left", beside=True),
        Heading("hours", aside=True),
    ),
    (
        Row("vanilla", tuple(map(Cell, ("100", "71.0", "", "baseline", "3"))), "baseline"),
        Row(
            "toy(x=1)",
            (
                Cell("100"),
                Cell("72.5", ("trained 73.0",), ("60 to 80",)),
                Cell("70.0", verdict="worse", mark="▼"),
                Cell("better", verdict="better"),
                Cell("4"),
            ),
        ),
    ),
)


def toy(summary=None, records=()):
    def panels():
        data = [{"type": "scatter", "x": [1], "y": [2], "meta": {"kind": "toy", "method": 0}}]
        return [Panel("A toy", "One dot of a toy.", {"data": data, "layout": frame(100, "x", "y")})]

    return [
        Block(
            "Toy measure",
            intro="What a toy tells.",
            table=TABLE,
            facts=(("toys", "two"),),
            notes=("A toy is a toy.",),
            details=(Details("How to read toys", ("With care.",)),),
            figures=Figures("toy", panels, intro="A dot is a toy."),
        ),
        Block("Empty", intro="An intro alone is nothing.", figures=Figures("none", list)),
        Block("Looked up", notes=("For those who ask.",), lookup=True),
    ]


def on_terminal(blocks, width):
    stream = io.StringIO()
    show(Report(tuple(blocks)), Console(file=stream, width=width))
    return stream.getvalue()


@pytest.mark.parametrize("width", [24, 40, 60, 100])
def test_a_terminal_shows_what_is_read_and_no_figures(width):
    text = on_terminal(toy(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for said in (
        "Toy measure",
        "What a toy tells.",
        "toy(x=1)",
        "72.5",
        "▼ 70.0",
        "better",
        "toys two",
        "A toy is a toy.",
    ):
        assert said in flat
    for said in ("hours", "60 to 80", "Empty", "With care.", "For those who ask.", "A dot is a toy."):
        assert said not in flat


def test_markdown_holds_the_table_and_folds_the_details():
    found = parsed(markdown(Report(tuple(toy()))))
    assert found.rows == [
        ["method", "rows", "score", "ofothers", "verdict"],
        ["vanilla", "100", "71.0", "", "baseline"],
        ["toy(x=1)", "100", "72.5trained 73.0", "▼ 70.0", "better"],
    ]
    assert {"details", "summary"} <= found.tags
    for said in ("Toy measure", "toys: two", "A toy is a toy.", "With care."):
        assert said in found.text
    for said in ("Empty", "For those who ask.", "A dot is a toy."):
        assert said not in found.text


def test_the_page_shows_all_of_it():
    found = Page(page(Report(tuple(toy()), title="Toys")))
    assert found.tables == [
        [
            ["method", "rows", "score", "of others", "verdict", "hours"],
            ["vanilla", "100", "71.0", "", "baseline", "3"],
            ["toy(x=1)", "100", "72.5 trained 73.0 60 to 80", "▼ 70.0", "better", "4"],
        ]
    ]
    for said in ("Toy measure", "toystwo", "With care.", "For those who ask.", "A dot is a toy."):
        assert said in found.text
    assert "Empty" not in found.text
    go.Figure(found.figures["toy-0"])


def test_only_the_page_draws_figures():
    def fail():
        raise AssertionError("drawn")

    (block, *_) = toy()
    lazy = Report((Block("Lazy", notes=("note",), figures=Figures("lazy", fail)), block))
    markdown(lazy)
    on_terminal(lazy.blocks, 80)
    with pytest.raises(AssertionError, match="drawn"):
        page(lazy)


def test_a_new_section_is_in_every_form_of_the_report(normal, monkeypatch):
    monkeypatch.setattr(sections, "SECTIONS", (*sections.SECTIONS, toy))
    made = report(normal)
    for text in (on_terminal(made.blocks, 100), markdown(made), Page(page(made)).text):
        assert "Toy measure" in text


def test_every_section_says_nothing_rather_than_an_empty_title(normal):
    bare = normal.model_copy(update={"sentences": []})
    for section in sections.SECTIONS:
        for block in section(bare, []):
            said = block.table or block.parts or block.facts or block.notes
            assert said or block.figures, block.title


def test_names_of_figures_are_unique(normal):
    names = [block.figures.name for block in report(normal).blocks if block.figures]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("width", [44, 60])
def test_where_a_table_is_split_the_key_stands_in_each_part(width):
    headings = (Heading("method", "left"), Heading("rows", key=True), *(Heading(f"target {i}") for i in range(8)))
    rows = tuple(Row("toy", tuple(map(Cell, (size, *"abcdefgh")))) for size in ("100", "1000"))
    lines = on_terminal([Block("Split", table=Table(headings, rows))], width).splitlines()
    parts = [line for line in lines if line.startswith("method")]
    assert len(parts) > 1
    assert all("rows" in line for line in parts)
    assert sum(line.startswith("toy") and " 1000" in line for line in lines) == len(parts)
    assert "".join(char for line in lines if " 1000" in line for char in line.split()[2:]) == "abcdefgh"

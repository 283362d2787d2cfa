from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from holdfast.report.markdown import code, escape, grid
from report.rendered import markdown
from report.studies import R3F, VANILLA, row, summary, task

NASTY = [
    "a|b",
    "`x`",
    "``",
    "*b* _c_",
    "<script>alert(1)</script>",
    "[l](http://x)",
    "\\",
    "a\nb",
    "#1 $x$ ~~y~~",
    "&lt;",
]


class _Cells(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows = []
        self.text = ""
        self.tags = set()
        self.in_cell = False

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag):
        self.in_cell &= tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data


def parsed(text):
    """What a GitHub-like renderer makes of it."""
    cells = _Cells()
    cells.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    return cells


@pytest.mark.parametrize("text", NASTY)
def test_names_show_as_they_are_in_a_table(text):
    found = parsed(grid(["method", "x"], [[code(text), escape(text)]]))
    assert found.rows[1] == [text.replace("\n", " ")] * 2
    assert found.tags <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


def test_the_table_is_that_of_the_summary(normal):
    found = parsed(markdown(normal))
    header, baseline, method = found.rows
    assert header[0] == "method"
    assert header[4] == "difference [95 % CI]"
    assert baseline == ["vanilla", "5", "68.0 ± 1.6", "66.0–70.0", "", "", "baseline", "1.0×"]
    assert method == ["r3f", "5", "70.4 ± 1.1", "69.0–72.0", "+2.4 [+0.4, +4.4]", "90 %", "better", "2.0×"]


def test_sentences_warnings_and_missing_runs_follow(troubled):
    text = parsed(markdown(troubled)).text
    for said in (*troubled.sentences, "3 texts of train are also in test", "r4f on rte, seeds 1, 3: killed"):
        assert said in text


@pytest.mark.parametrize("text", NASTY)
def test_user_strings_make_no_markup(text):
    rows = [row(text, "vanilla", VANILLA), row(text, text, R3F, VANILLA, verdict="better")]
    result = summary(rows, [task(text, warnings=[text])], sentences=[text])
    allowed = {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "p",
        "strong",
        "ul",
        "li",
        "br",
        "details",
        "summary",
    }
    assert parsed(markdown(result)).tags <= allowed

import base64
import hashlib
import json
import os
import re
import time
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest

from holdfast.errors import HoldfastError
from holdfast.records.summary import Summary
from holdfast.report import html as html_module
from holdfast.report.page import write_page
from report.rendered import page, report
from report.studies import FAILING, R3F, VANILLA, record, row, summary, task
from report.transfers import sizes, transfers, watched

VOID = {"meta", "link", "br", "wbr", "img", "hr", "input"}
EVIL = "<script>alert(1)</script><img src=http://x onerror=a>%{y}&lt;\"'$title"


class Page(HTMLParser):
    """What a browser makes of the page: elements, texts, scripts; complains of tags that do not match."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.tables, self.figures = [], [], [], {}
        self.text, self.title = "", ""
        self._open = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID and tag not in ("path",):
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag == "br":
            self.handle_data(" ")

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "script" in self._open:
            self.scripts[-1] += data
            attributes = [attributes for tag, attributes in self.elements if tag == "script"][-1]
            if "data-plot" in attributes:
                self.figures[attributes["data-plot"]] = json.loads(self.scripts[-1])
        elif "style" not in self._open:
            self.text += data
            if {"td", "th"} & set(self._open):
                self.tables[-1][-1][-1] += data
            if self._open[-1:] == ["title"]:
                self.title += data


def strings(value):
    """Every string in a figure."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def records(result, steps=(1, 2, 3)):
    settings = result.settings
    return [
        record(method, seed, info.task, steps)
        for info in result.tasks
        for method in settings.methods
        for seed in settings.seeds
    ]


def test_the_table_holds_the_summary_s_numbers(normal):
    (table,) = Page(page(normal, records(normal))).tables
    assert table[0][4] == "difference [95 % CI]"
    assert table[1][:4] == ["vanilla", "5", "68.0 ± 1.6", "66.0–70.0"]
    assert table[2][:5] == ["r3f", "5", "70.4 ± 1.1", "69.0–72.0", "+2.4 [+0.4, +4.4]"]
    assert table[2][6:] == ["better", "63 s", "2.0×"]


def test_the_answer_comes_first_and_everything_else_is_there(troubled, best):
    troubled.best = [best.model_copy(update={"optimistic": True})]
    troubled.looks = 2
    text = Page(page(troubled, records(troubled))).text
    told = (
        "Use vanilla, the baseline",
        "2 failed",
        troubled.sentences[0],
        "Best model",
        "r4f on rte, seeds 1, 3: killed: out of memory",
        "3 texts of train are also in test",
        "text column: sentence",
        "over seeds only",
        "looked at 2 times",
        "torch 2.13.0",
    )
    places = [text.index(said) for said in told]
    assert places == sorted(places)
    assert "optimistic" in text


def test_figures_stand_in_the_page_as_valid_plotly(troubled):
    found = Page(page(troubled, records(troubled)))
    assert {name.split("-")[0] for name in found.figures} == {"strip", "forest", "cost", "loss"}
    for figure in found.figures.values():
        go.Figure(figure)
    plots = [attributes for tag, attributes in found.elements if attributes.get("class") == "plot"]
    assert {plot["id"] for plot in plots} == set(found.figures)
    for plot in plots:
        assert plot["role"] == "img"
        assert len(plot["aria-label"]) > 20


def test_dots_in_the_page_are_the_runs(troubled):
    found = Page(page(troubled, records(troubled)))
    runs = [trace for trace in found.figures["strip-0"]["data"] if trace["meta"]["kind"] == "runs"]
    assert [len(trace["x"]) for trace in runs] == [5, 5, 3]
    assert sum(symbol == "circle-open" for trace in runs for symbol in trace["marker"]["symbol"]) == 2


def test_nothing_is_loaded_from_anywhere(normal):
    text = page(normal, records(normal))
    found = Page(text)
    for tag, attributes in found.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "srcset", "action", "data", "poster"} & set(attributes)
    assert "@import" not in text.split("<body>")[0]
    assert "url(" not in text.split("<body>")[0]


def test_only_the_page_s_own_scripts_may_run(normal):
    found = Page(page(normal, records(normal)))
    kinds = [attributes.get("type") for tag, attributes in found.elements if tag == "script"]
    running = [script for script, kind in zip(found.scripts, kinds, strict=True) if kind is None]
    assert len(running) == 2
    assert sum(script.count("Plotly, Inc.") > 0 for script in found.scripts) == 1
    (policy,) = [a["content"] for tag, a in found.elements if tag == "meta" and "http-equiv" in a]
    allowed = re.search(r"script-src ([^;]*);", policy).group(1).split()
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in running]
    assert allowed == [f"'sha256-{digest}'" for digest in hashes]
    assert "default-src 'none'" in policy
    # Plotly would offer to upload the figure.
    assert "showSendToCloud: false" in running[1]


def test_user_strings_are_inert(troubled, best):
    troubled.best = [best]
    troubled.results[2].method = troubled.settings.methods[2] = troubled.errors[0]["method"] = "r4f"
    tame = troubled.model_dump_json()
    wild = tame
    for word in ("rte", "r4f", "accuracy", "killed: out of memory", "r3f beats vanilla by 2.4 points.", "org/encoder"):
        wild = wild.replace(json.dumps(word)[1:-1], json.dumps(word[:3] + EVIL)[1:-1])
    pages = []
    for dumped in (tame, wild):
        result = Summary.model_validate_json(dumped)
        pages.append(Page(page(result, records(result))))
    elements = [[tag for tag, _ in found.elements if tag != "wbr"] for found in pages]
    assert elements[0] == elements[1]
    assert "rte" + EVIL in pages[1].title
    for figure in pages[1].figures.values():
        go.Figure(figure)
        # Plotly reads tags in its labels: none but its own line breaks and bold headings may be there.
        assert set(re.findall("<[^>]*>?", " ".join(strings(figure)))) <= {"<br>", "<b>", "</b>"}
        assert "hovertemplate" not in json.dumps(figure)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 2, 1), (1, 12, 50), (10, 3, 2), (10, 12, 4)])
def test_studies_of_every_size(crowded, size):
    result = crowded(*size)
    found = Page(page(result, records(result)))
    assert len(found.tables) == size[0] + bool(result.overall)
    assert sum(name.startswith("strip") for name in found.figures) == size[0]
    for figure in found.figures.values():
        go.Figure(figure)


@pytest.mark.parametrize(
    ("vanilla", "r3f", "failed"),
    [((None,) * 3, (None,) * 3, ()), (VANILLA[:3], (None,) * 3, ()), ((None,) * 3, (52.7,) * 3, (0, 1, 2))],
)
def test_studies_in_which_little_worked(vanilla, r3f, failed):
    result = summary([row("rte", "vanilla", vanilla), row("rte", "r3f", r3f, vanilla, failed)], [task()])
    found = Page(page(result, []))
    for figure in found.figures.values():
        go.Figure(figure)
    assert len(found.tables) == 1


def test_every_method_has_a_button_with_its_name(troubled):
    found = Page(page(troubled, records(troubled)))
    buttons = [attributes for tag, attributes in found.elements if tag == "button"]
    assert [button["data-method"] for button in buttons] == ["0", "1", "2"] * 2
    methods = {str(trace["meta"]["method"]) for trace in found.figures["loss-0"]["data"]}
    assert methods == {"0", "1", "2"}


def test_every_colour_has_a_counterpart_for_dark_pages(troubled):
    found = Page(page(troubled, records(troubled)))
    (dark,) = [
        json.loads(script)
        for script, (_, attributes) in zip(
            found.scripts, [element for element in found.elements if element[0] == "script"], strict=True
        )
        if attributes.get("id") == "dark"
    ]
    used = {text for figure in found.figures.values() for text in strings(figure) if re.fullmatch("#[0-9a-f]{6}", text)}
    assert used
    assert used <= set(dark)


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_marks_and_text_stand_out_on_either_page():
    from holdfast.report.figures.style import COLOURS, DARK, INK, MUTED, PAPER

    def contrast(one, other):
        low, high = sorted((luminance(one), luminance(other)))
        return (high + 0.05) / (low + 0.05)

    for paper, shade in ((PAPER, lambda colour: colour), (DARK[PAPER], DARK.get)):
        # WCAG 2.1: 3 to 1 for graphics, 4.5 to 1 for text.
        assert min(contrast(shade(colour), paper) for colour in COLOURS) >= 3
        assert min(contrast(shade(colour), paper) for colour in (INK, MUTED)) >= 4.5


def test_the_file_is_written_whole_over_an_old_one(normal, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_page(report(normal, records(normal)), path)
    assert path.read_text(encoding="utf-8") == page(normal, records(normal)[::-1])
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_failure_leaves_the_old_file(normal, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_):
        raise ValueError("halfway")

    monkeypatch.setattr(html_module, "_table", fail)
    with pytest.raises(ValueError, match="halfway"):
        write_page(report(normal), path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_folder_that_is_not_there_is_named(normal, tmp_path):
    with pytest.raises(HoldfastError, match=r"cannot write the report .*nowhere.*writable folder"):
        write_page(report(normal), tmp_path / "nowhere" / "report.html")


def test_forty_runs_take_no_time(tmp_path):
    rows = [row("rte", "vanilla", VANILLA * 2)]
    rows += [
        row("rte", method, scores * 2, VANILLA * 2) for method, scores in (("r3f", R3F), ("r4f", R3F), ("dps", FAILING))
    ]
    result = summary(rows, [task()])
    runs = records(result, steps=range(1, 501))
    began = time.perf_counter()
    write_page(report(result, runs), tmp_path / "report.html")
    assert len(runs) == 40
    assert time.perf_counter() - began < 3


def test_other_tasks_layers_and_the_monitor_have_figures_of_their_own():
    result = transfers()
    found = Page(page(result, [watched(method, seed) for method in ("vanilla", "r4f") for seed in range(2)]))
    kinds = [name.split("-")[0] for name in found.figures]
    assert {kind: kinds.count(kind) for kind in ("ood", "probe", "layer", "monitor")} == {
        "ood": 1,
        "probe": 2,
        "layer": 4,
        "monitor": 4,
    }
    found = Page(page(sizes(), []))
    assert [name for name in found.figures if name.startswith("size")] == ["size-0", "size-1"]
    assert found.title == "Which fine-tuning method on rte?"
    assert "1 task × 2 sizes" in found.text
    assert "training rows1000, 100" in found.text

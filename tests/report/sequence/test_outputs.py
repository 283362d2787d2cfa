import json
import os
import re

import plotly.graph_objects as go
import pytest
from rich.cells import cell_len

from holdfast.errors import HoldfastError
from holdfast.records.summary import SequenceSummary
from holdfast.report.figures.style import DARK
from holdfast.report.page import write_page
from report.rendered import markdown, page, report, terminal
from report.sequence.sequences import chain, cycles
from report.studies import record
from report.test_markdown import parsed
from report.test_page import EVIL, Page, strings

ERROR = {"run": "a", "task": "qnli (stage 2)", "method": "r4f", "seed": "1", "error": "killed: out of memory"}
TOLD = ("Every stage has a new head.", "rte: 3 texts of train are also in test", "killed: out of memory")


@pytest.mark.parametrize("study", [chain, cycles])
def test_terminal_markdown_and_page_tell_the_same(study):
    result = study(errors=[ERROR])
    found = Page(page(result, [record("r4f", 0)]))
    marked = parsed(markdown(result))
    for text in (" ".join(terminal(result).split()), marked.text, found.text):
        for said in (*result.sentences, *TOLD, "r4f on qnli (stage 2), seed 1"):
            assert said in text
    rows = [row for table in found.tables for row in table if row[0] == "r4f"]
    assert rows == [row for row in marked.rows if row[0] == "r4f"]
    assert "torch 2.13.0" in found.text


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
@pytest.mark.parametrize("study", [chain, cycles])
def test_every_width_shows_all_cells_in_lines_that_fit(study, width):
    text = terminal(study(), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for cell in ("▲ 88.0 ± 1.0", "73.0 ± 1.0") if study is chain else ("? 85.0 ± 1.0", "73.0 ± 1.0"):
        assert cell in " ".join(text.split())


def test_files_are_told_whole(tmp_path):
    path = tmp_path / ("x" * 100) / "report.html"
    assert str(path) in terminal(chain(), 60, {"report": path}).splitlines()[-1]


@pytest.mark.parametrize("study", [chain, cycles])
def test_figures_are_valid_have_alt_texts_and_dark_colours(study):
    text = page(study(), [])
    found = Page(text)
    plots = [attributes for _, attributes in found.elements if attributes.get("class") == "plot"]
    assert len(plots) == len(found.figures) == (1 if study is chain else 2)
    for plot in plots:
        go.Figure(found.figures[plot["id"]])
        assert re.search(r"r4f: .*\d\d\.\d", plot["aria-label"])
    used = {one for figure in found.figures.values() for one in strings(figure) if re.fullmatch("#[0-9a-f]{6}", one)}
    assert used <= set(DARK)
    for _, attributes in found.elements:
        assert not {"src", "href", "srcset"} & set(attributes)


def test_user_strings_are_inert():
    tame = cycles(errors=[ERROR]).model_dump_json()
    wild = tame
    for word in ("sst2", "r4f", "accuracy", "Every stage has a new head.", "killed: out of memory"):
        wild = wild.replace(json.dumps(word)[1:-1], json.dumps(word + EVIL)[1:-1])
    found = [Page(page(SequenceSummary.model_validate_json(dumped), [])) for dumped in (tame, wild)]
    elements = [[tag for tag, _ in one.elements if tag != "wbr"] for one in found]
    assert elements[0] == elements[1]
    for figure in found[1].figures.values():
        go.Figure(figure)
        assert set(re.findall("<[^>]*>?", " ".join(strings(figure)))) <= {"<br>"}
    assert not parsed(markdown(SequenceSummary.model_validate_json(wild))).tags & {"script", "img"}


def test_the_page_is_written_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_page(report(chain()), path)
    assert path.read_text(encoding="utf-8") == page(chain())
    assert os.listdir(tmp_path) == ["report.html"]
    with pytest.raises(HoldfastError, match=r"cannot write the report .*nowhere.*writable folder"):
        write_page(report(chain()), tmp_path / "nowhere" / "report.html")

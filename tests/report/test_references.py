"""References in the results: rows with a score and a time and without a verdict, wherever the table is shown."""

import io

from rich.console import Console

from holdfast.records.summary import ReferenceRow
from holdfast.report.html import sections
from holdfast.report.markdown import markdown
from holdfast.report.sections import results, study_report
from holdfast.report.terminal_table import TerminalTable
from report.studies import CONSTANT, R3F, VANILLA, row, summary, task


def fitted(name, score, seconds, note=""):
    return ReferenceRow(
        task="rte", reference=name, score=score, metrics={}, strength=1.0, folds=5, seconds=seconds, note=note
    )


def study(*references):
    rows = [row("rte", "vanilla", VANILLA), row("rte", "r3f", R3F, VANILLA, verdict="better")]
    rows[0].seconds = 10.0
    return summary(rows, [task("rte"), task("cola")], references=list(references))


BOTH = study(fitted("tfidf", 64.25, 2.0), fitted("embeddings", None, 5.0, "could not be fitted (it broke)"))


def test_they_stand_below_the_methods_with_their_score_and_what_they_took():
    (block,) = results.blocks(BOTH, [])
    table = block.parts[0].table
    assert [(one.name, one.kind) for one in table.rows[2:]] == [
        ("(best constant)", "reference"),
        ("(TF-IDF)", "reference"),
        ("(frozen embeddings)", "reference"),
    ]
    headings = [heading.text for heading in table.headings[1:]]
    cells = [dict(zip(headings, (cell.text for cell in one.cells), strict=True)) for one in table.rows[2:]]
    assert [one["mean ± std"] for one in cells] == [f"{CONSTANT:.1f}", "64.2", "–"]
    assert [one["verdict"] for one in cells] == ["reference", "reference, 2.0 s", "reference, 5.0 s"]
    assert [one["cost"] for one in cells] == ["", "0.2×", "0.5×"]
    assert all(one["runs"] == one["worst–best"] == one["P(ahead)"] == "" for one in cells)
    assert all(cell.verdict is None for one in table.rows[2:] for cell in one.cells)
    assert block.parts[0].notes == ("frozen embeddings: could not be fitted (it broke).",)
    assert "without a verdict" in block.intro


def test_a_task_without_any_has_the_table_of_its_methods():
    (block,) = results.blocks(BOTH, [])
    assert [one.kind for one in block.parts[1].table.rows] == []
    (plain,) = results.blocks(study(), [])
    assert [one.kind for one in plain.parts[0].table.rows] == ["baseline", "method"]
    assert plain.intro == ""


def test_every_renderer_shows_them():
    written = markdown(study_report(BOTH))
    assert "| (TF-IDF) |  | 64.2 |  |  |  | reference, 2.0 s | 0.2× |" in written
    page = sections(results.blocks(BOTH, []))
    assert '<tr role="row" class="reference">' in page
    (block,) = results.blocks(BOTH, [])
    for width in (160, 70, 30):
        screen = io.StringIO()
        Console(file=screen, width=width).print(TerminalTable(block.parts[0].table))
        told = " ".join(screen.getvalue().split())
        assert "(TF-IDF)" in told
        assert "reference, 2.0 s" in told

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from holdfast.records.summary import Summary
from holdfast.report.card import model_card
from holdfast.report.markdown import markdown
from holdfast.report.marked import Marked, marked, marks_key
from holdfast.report.page import page
from holdfast.report.remarks import notes, reading
from holdfast.report.terminal import show
from holdfast.report.text import breakable
from holdfast.report.transfer import glance, side_grid, side_notes, side_tables
from report.studies import record
from report.test_markdown import parsed
from report.test_page import Page
from report.transfers import COLA, SCITAIL, SUBJ, sizes, transfers

R4F = ["▲ 70.4 ± 1.1", "▼ 66.0 ± 0.8", "▲ 30.0 ± 0.8", "? 85.1 ± 1.0", "0.70", "30.0 (50 %)"]


def shown(result, width):
    stream = io.StringIO()
    show(result, Console(file=stream, width=width))
    return stream.getvalue()


def test_score_out_of_domain_and_probes_stand_in_one_line_with_their_verdicts():
    (table,) = side_tables(transfers())
    header, cells = side_grid(table)
    assert [" ".join(title.split()) for title in header] == [
        "in-domain rte accuracy",
        "ood scitail accuracy",
        "probe cola matthews",
        "probe subj accuracy",
        "last layer CKA",
        "last layer effective rank",
    ]
    # By hand: r4f scores 65, 66, 67, 65.5, 66.5 out of domain; the last of three layers has rank 30 of 60.
    assert cells[1] == R4F
    assert cells[0][:3] == ["68.0 ± 1.6", "72.0 ± 1.6", "22.0 ± 1.6"]
    assert [line.name for line in table.lines[2:]] == ["(pre-trained model)", "(best constant)"]
    assert cells[2] == ["–", "–", "31.5", "88.2", "1.00", "60.0 (100 %)"]
    assert cells[3] == ["52.7", "60.4", "0.0", "50.0", "–", "–"]


def test_a_glance_tells_where_a_method_wins_and_where_it_loses():
    assert glance(transfers()) == [
        "rte, r4f against vanilla: in-domain better; out of domain (scitail) worse; retained knowledge (probes) better "
        "on 1 of 2 (cola), worse on none."
    ]


def verdicts(*found):
    result = transfers()
    own = [row for row in result.transfer if row.kind == "probe" and row.method == "r4f"]
    for row, verdict in zip(own, found, strict=True):
        row.verdict = verdict
    return glance(result)[0].split("(probes) ")[1]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("worse", "better"), "better on 1 of 2 (subj), worse on 1 (cola)."),
        (("worse", "worse"), "better on none of 2, worse on 2 (cola, subj)."),
        (("cannot be told apart", "practically equal"), "better on none of 2, worse on none."),
        (("too few runs", "too few runs"), "too few runs."),
        (("better", "too few runs"), "better on 1 of 2 (cola), worse on none, too few runs on 1."),
    ],
)
def test_wins_and_losses_are_counted_by_verdict(found, said):
    assert verdicts(*found) == said


def test_sizes_stand_in_one_table_from_few_rows_to_many():
    (table,) = side_tables(sizes())
    header, cells = side_grid(table)
    assert header[0].split() == ["training", "rows"]
    assert [(line.name, line.rows) for line in table.lines] == [
        ("vanilla", "100"),
        ("r4f", "100"),
        ("vanilla", "1000"),
        ("r4f", "1000"),
        ("(best constant)", "–"),
    ]
    assert [line[1:] for line in cells] == [
        ["60.0 ± 1.0", "50.0 ± 1.0"],
        ["▲ 64.0 ± 1.0", "▲ 54.0 ± 1.0"],
        ["80.0 ± 1.0", "70.0 ± 1.0"],
        ["▲ 82.0 ± 1.0", "▲ 72.0 ± 1.0"],
        ["52.7", "60.4"],
    ]


def test_only_marks_that_stand_in_the_table_are_explained():
    assert side_notes(transfers())[-1] == "Marks, against vanilla: ▲ better, ▼ worse, ? cannot be told apart."
    assert marks_key([marked(1.0, 0.5, "baseline", 1)], "vanilla") == ""
    # A method without runs has no score that a mark could be on.
    assert marked(None, None, "too few runs", 1) == Marked()


def test_missing_scores_leave_a_dash():
    result = transfers()
    result.transfer = [row for row in result.transfer if row.method == "vanilla" or row.kind == "ood"]
    result.representations = [row for row in result.representations if row.method == "vanilla"]
    _, cells = side_grid(side_tables(result)[0])
    assert cells[1] == [*R4F[:2], "–", "–", "–", "–"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 160])
def test_every_width_shows_all_cells_in_lines_that_fit(width):
    result = transfers({"r4f": "r4f(weight=5.0, sigma=0.01)"})
    text = shown(result, width)
    assert max(map(cell_len, text.splitlines())) <= width
    part = text.split("Side by side: rte")[1]
    flat = " ".join(part.split())
    for cell in R4F:
        assert cell in flat
    assert all(piece.strip() in part for piece in breakable("r4f(weight=5.0, sigma=0.01)"))


def test_sizes_tell_rows_apart_in_every_part_of_a_narrow_table():
    part = shown(sizes(), 44).split("Side by side: rte")[1].split(" •")[0]
    lines = [line for line in part.splitlines() if line.startswith(("vanilla", "r4f"))]
    assert len(lines) == 8
    assert sum(" 1000 " in line for line in lines) == sum(" 100 " in line for line in lines) == 4


def test_terminal_markdown_and_page_tell_the_same():
    result = transfers()
    text = parsed(markdown(result))
    (line,) = [row for row in text.rows if row[1:] == R4F]
    found = Page(page(result, []))
    (own,) = [row for table in found.tables for row in table if row[0] == "r4f" and row[1].startswith("▲")]
    assert own[1:] == line[1:]
    flat = " ".join(shown(result, 120).split())
    for sentence in (*side_notes(result), *result.transfer_sentences):
        for written in (flat, text.text, found.text):
            assert sentence in written


def test_marks_are_read_out_in_words():
    found = Page(page(transfers(), []))
    signs = [attributes for tag, attributes in found.elements if attributes.get("class", "").startswith("sign")]
    assert [sign["aria-label"] for sign in signs] == ["better", "worse", "better", "cannot be told apart"]
    assert {sign["role"] for sign in signs} == {"img"}


def test_marks_have_plain_counterparts():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show(transfers(), Console(file=stream, width=100))
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "^ 70.4 +/- 1.1" in text
    assert "v 66.0 +/- 0.8" in text


def test_how_classes_were_mapped_is_told_once_for_all_sizes():
    assert [note for note in notes(sizes()) if "scitail" in note] == [
        "rte, out of domain scitail: neutral counts as not_entailment"
    ]


def test_the_reading_explains_the_kinds_that_are_there():
    assert sum(sentence.startswith(("Out of domain:", "Probe:")) for sentence in reading(transfers())) == 2
    assert not any(sentence.startswith("Probe:") for sentence in reading(sizes()))


def test_the_card_tells_what_the_method_keeps(best):
    best = best.model_copy(update={"method": "r4f"})
    card = parsed(model_card(best, record("r4f", 3), transfers()).split("---\n", 2)[2])
    (start,) = [index for index, row in enumerate(card.rows) if row[0] == "on"]
    assert card.rows[start + 1 : start + 4] == [
        ["scitail, out of domain", "accuracy", "66.0 ± 0.8", "–", "60.4", "worse"],
        ["cola, probe", "matthews", "30.0 ± 0.8", "31.5", "0.0", "better"],
        ["subj, probe", "accuracy", "85.1 ± 1.0", "88.2", "50.0", "cannot be told apart"],
    ]


def test_the_card_of_one_size_shows_that_size_s_results(best):
    card = model_card(best, record("r4f", 1, train_size=1000), sizes())
    assert "82.0 ± 1.0" in card
    assert "72.0 ± 1.0" in card
    assert "64.0 ± 1.0" not in card


def test_a_study_without_targets_says_nothing_of_them(normal):
    assert side_tables(normal) == []
    assert side_notes(normal) == []
    for text in (shown(normal, 100), markdown(normal), Page(page(normal, [])).text):
        assert "side by side" not in text.lower()
        assert "probe" not in text.lower()


def test_user_strings_make_no_markup():
    evil = "<b>|x|</b>[i](http://j)"
    result = transfers({name: evil + name for name in ("r4f", "scitail", "cola", "neutral counts as not_entailment")})
    assert isinstance(result, Summary)
    found = Page(page(result, []))
    assert "b" not in [tag for tag, _ in found.elements]
    assert evil in found.text
    assert not parsed(markdown(result)).tags & {"b", "a"}
    assert evil + "cola" in " ".join(" ".join(row) for row in parsed(markdown(result)).rows)


def test_targets_stand_out_of_domain_first():
    result = transfers()
    result.tasks[0].targets = [SUBJ, COLA, SCITAIL]
    (table,) = side_tables(result)
    assert [column.name for column in table.columns[1:4]] == ["scitail", "subj", "cola"]

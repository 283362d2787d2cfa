import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from holdfast.records.summary import Summary
from holdfast.report.block import Cell, Heading, Row, Table
from holdfast.report.card import model_card
from holdfast.report.marked import marked, marks_key
from holdfast.report.sections import remarks
from holdfast.report.sections.transfer import blocks, glance
from holdfast.report.terminal import show
from holdfast.wording import breakable
from report.rendered import grid, markdown, page, report
from report.rendered import terminal as shown
from report.studies import record
from report.test_markdown import parsed
from report.test_page import Page
from report.transfers import COLA, SCITAIL, SUBJ, sizes, transfers

R4F = ["▲ 70.4 ± 1.1", "▼ 66.0 ± 0.8", "▲ 30.0 ± 0.8", "? 85.1 ± 1.0", "0.70", "30.0 (50 %)"]


def only_table(result):
    (block,) = blocks(result, [])
    (part,) = block.parts
    return part.table


def side_by_side(text):
    """Of a terminal's text the part between this section's table and its notes."""
    return text.split("Side by side")[1].split(" •")[0]


def test_score_out_of_domain_and_probes_stand_in_one_line_with_their_verdicts():
    header, lines = grid(only_table(transfers()))
    assert header == [
        "in-domain rte accuracy",
        "ood scitail accuracy",
        "probe cola matthews",
        "probe subj accuracy",
        "last layer CKA",
        "last layer effective rank",
    ]
    # By hand: r4f scores 65, 66, 67, 65.5, 66.5 out of domain; the last of three layers has rank 30 of 60.
    assert lines == {
        "vanilla": ["68.0 ± 1.6", "72.0 ± 1.6", "22.0 ± 1.6", "85.0 ± 0.8", "0.40", "30.0 (50 %)"],
        "r4f": R4F,
        "(pre-trained model)": ["–", "–", "31.5", "88.2", "1.00", "60.0 (100 %)"],
        "(best constant)": ["52.7", "60.4", "0.0", "50.0", "–", "–"],
    }


def test_a_glance_tells_where_a_method_wins_and_where_it_loses():
    assert glance(transfers()) == [
        "rte, r4f against vanilla: in-domain better; out of domain (scitail) worse; retained knowledge (probes) better "
        "on 1 of 2 (cola), worse on none."
    ]


def test_methods_of_which_the_same_holds_share_a_sentence():
    result = transfers()
    for rows in (result.results, result.transfer):
        rows += [one.model_copy(update={"method": "dps"}) for one in rows if one.method == "r4f"]
    (said,) = glance(result)
    assert said.startswith("rte, r4f and dps against vanilla: in-domain better; ")


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
    table = only_table(sizes())
    assert table.headings[1] == Heading("training\nrows", key=True)
    assert [(row.name, row.cells[0].text) for row in table.rows] == [
        ("vanilla", "100"),
        ("r4f", "100"),
        ("vanilla", "1000"),
        ("r4f", "1000"),
        ("(best constant)", "–"),
    ]
    assert [[cell.words for cell in row.cells[1:]] for row in table.rows] == [
        ["60.0 ± 1.0", "50.0 ± 1.0"],
        ["▲ 64.0 ± 1.0", "▲ 54.0 ± 1.0"],
        ["80.0 ± 1.0", "70.0 ± 1.0"],
        ["▲ 82.0 ± 1.0", "▲ 72.0 ± 1.0"],
        ["52.7", "60.4"],
    ]


def test_only_marks_that_stand_in_the_table_are_explained():
    (block,) = blocks(transfers(), [])
    assert "Marks, against vanilla: ▲ better, ▼ worse, ? cannot be told apart." in block.notes
    plain = Table((Heading("method"), Heading("x")), (Row("vanilla", (marked(1.0, 0.5, "baseline", 1),)),))
    assert marks_key([plain], "vanilla") == ()
    # A method without runs has no score that a mark could be on.
    assert marked(None, None, "too few runs", 1) == Cell("–")


def test_missing_scores_leave_a_dash():
    result = transfers()
    result.transfer = [row for row in result.transfer if row.method == "vanilla" or row.kind == "ood"]
    result.representations = [row for row in result.representations if row.method == "vanilla"]
    assert grid(only_table(result))[1]["r4f"] == [*R4F[:2], "–", "–", "–", "–"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 160])
def test_every_width_shows_all_cells_in_lines_that_fit(width):
    result = transfers({"r4f": "r4f(weight=5.0, sigma=0.01)"})
    text = shown(result, width)
    assert max(map(cell_len, text.splitlines())) <= width
    part = side_by_side(text)
    flat = " ".join(part.split())
    for cell in R4F:
        assert cell in flat
    assert all(piece.strip() in part for piece in breakable("r4f(weight=5.0, sigma=0.01)"))


def test_sizes_tell_rows_apart_in_every_part_of_a_narrow_table():
    part = side_by_side(shown(sizes(), 44))
    lines = [line for line in part.splitlines() if line.startswith(("vanilla", "r4f"))]
    assert len(lines) == 8
    assert sum(" 1000 " in line for line in lines) == sum(" 100 " in line for line in lines) == 4


def test_terminal_markdown_and_page_tell_the_same():
    result = transfers()
    text = parsed(markdown(result))
    (line,) = [row for row in text.rows if row[1:] == R4F]
    found = Page(page(result))
    (own,) = [row for table in found.tables for row in table if row[0] == "r4f" and row[1].startswith("▲")]
    assert own[1:] == line[1:]
    flat = " ".join(shown(result, 120).split())
    for sentence in (*glance(result), *result.transfer_sentences):
        for written in (flat, text.text, found.text):
            assert sentence in written


def test_marks_are_read_out_in_words():
    found = Page(page(transfers()))
    signs = [attributes for tag, attributes in found.elements if attributes.get("class", "").startswith("sign")]
    assert [sign["aria-label"] for sign in signs] == ["better", "worse", "better", "cannot be told apart"]
    assert {sign["role"] for sign in signs} == {"img"}


def test_marks_have_plain_counterparts():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    show(report(transfers()), Console(file=stream, width=100))
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "^ 70.4 +/- 1.1" in text
    assert "v 66.0 +/- 0.8" in text


def test_how_classes_were_mapped_is_told_once_for_all_sizes():
    (block,) = remarks.blocks(sizes(), [])
    assert block.notes == ("rte, out of domain scitail: neutral counts as not_entailment",)


def test_the_reading_explains_the_kinds_that_are_there():
    for result, kinds in ((transfers(), {"Out of domain", "Probe"}), (sizes(), {"Out of domain"})):
        (block,) = blocks(result, [])
        openings = {sentence.split(":")[0] for sentence in block.details[0].notes}
        assert openings & {"Out of domain", "Probe"} == kinds


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
    assert blocks(normal, []) == []
    for text in (shown(normal, 100), markdown(normal), Page(page(normal)).text):
        assert "side by side" not in text.lower()
        assert "probe" not in text.lower()


def test_user_strings_make_no_markup():
    evil = "<b>|x|</b>[i](http://j)"
    result = transfers({name: evil + name for name in ("r4f", "scitail", "cola", "neutral counts as not_entailment")})
    assert isinstance(result, Summary)
    found = Page(page(result))
    assert "b" not in [tag for tag, _ in found.elements]
    assert evil in found.text
    assert not parsed(markdown(result)).tags & {"b", "a"}
    assert evil + "cola" in " ".join(" ".join(row) for row in parsed(markdown(result)).rows)


def test_targets_stand_out_of_domain_first():
    result = transfers()
    result.tasks[0].targets = [SUBJ, COLA, SCITAIL]
    header, _ = grid(only_table(result))
    assert [title.split()[1] for title in header[1:4]] == ["scitail", "subj", "cola"]

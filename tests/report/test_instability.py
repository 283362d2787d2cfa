import pytest
from rich.cells import cell_len

from holdfast.records.summary import LayerInstability
from holdfast.report.card import model_card
from holdfast.report.sections.instability import blocks, instability_notes, instability_reading
from holdfast.wording import breakable
from report.rendered import markdown, page
from report.rendered import terminal as shown
from report.studies import R3F, VANILLA, instability, record, row, summary, task
from report.test_markdown import parsed
from report.test_page import Page

HEADER = [
    "varied",
    "runs",
    "std",
    "range",
    "failed",
    "disagree",
    "JS",
    "1−κ",
    "1−CKA",
    "1−SVCCA",
    "Procrustes",
    "moved",
]
LINE = ["seeds", "5", "1.6", "4.0", "20 %", "11.0 %", "0.012", "0.220", "0.200", "0.040", "0.080", "2.35"]


def instability_table(result):
    """Headings but the first, and a line a row."""
    (block,) = blocks(result, [])
    (part,) = block.parts
    header = [heading.text for heading in part.table.headings[1:]]
    return header, [[cell.words for cell in row.cells] for row in part.table.rows]


def study(*found, tasks=("rte",), seeds=5, other="r3f"):
    rows = [
        row(name, method, (scores * 4)[:seeds], None if method == "vanilla" else (VANILLA * 4)[:seeds])
        for name in tasks
        for method, scores in (("vanilla", VANILLA), (other, R3F))
    ]
    return summary(rows, [task(name) for name in tasks], luck=list(found))


def test_a_line_holds_the_row_s_numbers_and_the_last_layer_s_distances(unstable):
    header, lines = instability_table(unstable)
    assert header == HEADER
    assert lines[0] == LINE
    assert [line[0] for line in lines] == ["seeds", "seeds", "data", "data"]


def test_columns_without_a_number_are_left_out():
    plain = {"layers": [], "distance": None, "distance_start": None}
    header, _ = instability_table(study(instability("vanilla", None, **plain), instability("r3f", None, **plain)))
    assert header == HEADER[:5]


def test_the_distance_from_the_start_stands_beside_the_other_where_they_differ():
    header, lines = instability_table(study(instability("vanilla", 0.1), instability("r3f", 0.1, distance_start=1.2)))
    assert header == [*HEADER, "from its start"]
    assert [line[-2:] for line in lines] == [["2.35", "2.35"], ["2.35", "1.2"]]


def test_small_numbers_are_not_shown_as_none_and_rounding_is():
    _, lines = instability_table(study(instability("vanilla", 0.0, js=0.00004)))
    assert lines[0][5:8] == ["0.0 %", "4e−05", "0.000"]
    # Of a frozen body all runs have the same representations.
    same = LayerInstability(layer=1, runs=5, cka=-2.2e-16, svcca=3e-8, procrustes=4e-16)
    _, lines = instability_table(study(instability("vanilla", 0.0, layers=[same])))
    assert lines[0][8:11] == ["0.000", "0.000", "0.000"]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 250])
def test_every_width_shows_whole_names_and_numbers_in_lines_that_fit(unstable, width):
    text = shown(unstable, width)
    assert max(map(cell_len, text.splitlines())) <= width
    _, part = text.split("How much was luck")
    for method in unstable.settings.methods:
        assert all(piece.strip() in part for piece in breakable(method))
    for cell in (*HEADER, *LINE):
        assert cell in " ".join(part.split())


@pytest.mark.parametrize(("width", "tables"), [(80, 2), (130, 1)])
def test_rows_of_one_name_are_told_apart_in_every_table(unstable, width, tables):
    part = shown(unstable, width).split("How much was luck")[1]
    rows = [line for line in part.splitlines() if "seeds  " in line or "data  " in line]
    assert len(rows) == 4 * tables


def test_a_sentence_a_task_names_the_steadiest_and_the_shakiest(unstable):
    notes = instability_notes(unstable)
    assert notes[0] == (
        "On rte, two runs of r3f(weight=5.0, sigma=0.01) disagree on 4.0 % of the rows, two of vanilla on 11.0 %."
    )
    assert notes[1].startswith("On rte, with the same seed and other training rows, two runs of r3f(weight=5.0")
    three = study(instability("vanilla", 0.1), instability("r3f", 0.2), instability("dps", 0.3))
    assert instability_notes(three)[0].endswith("two of dps on 30.0 %, those of the other methods between.")
    same = study(instability("vanilla", 0.1), instability("r3f", 0.1))
    assert instability_notes(same)[0] == "On rte, two runs of every method disagree on 10.0 % of the rows."
    assert len(instability_notes(study(instability("vanilla", None)))) == 1


def test_measures_that_are_not_over_all_runs_say_so():
    whole = instability("vanilla", 0.1)
    cut = instability("r3f", 0.2, predicted_runs=4, layers=[whole.layers[-1].model_copy(update={"runs": 2})])
    notes = [note for note in instability_notes(study(whole, cut)) if "of 5 runs" in note]
    assert len(notes) == 1
    assert notes[0].startswith("r3f on rte: predictions over 4 and representations over 2 of 5 runs")
    assert not any(
        "of 5 runs" in note for note in instability_notes(study(instability("vanilla", None, predicted_runs=0)))
    )


@pytest.mark.parametrize(("rows", "said"), [(56, ["one is 1.8 % in disagree"]), (277, [])])
def test_few_scored_rows_are_told(rows, said):
    result = study(instability("vanilla", 0.1))
    result.tasks[0].scored_rows = rows
    notes = [note for note in instability_notes(result) if "scored row" in note]
    assert len(notes) == len(said)
    assert all(part in note for part, note in zip(said, notes, strict=True))


def test_the_reading_explains_the_columns_that_are_there():
    assert "from its start" not in " ".join(instability_reading(study(instability("vanilla", 0.1))))
    assert "from its start: " in " ".join(instability_reading(study(instability("vanilla", 0.1, distance_start=1.2))))


@pytest.mark.parametrize(
    ("tasks", "seeds", "tested"), [(1, 5, False), (3, 5, False), (4, 3, True), (4, 2, False), (1, 20, True)]
)
def test_few_runs_support_no_claim_about_steadiness(tasks, seeds, tested):
    """As in the statistics: from 4 tasks with 3 runs a method, or from 20 runs a method."""
    names = [f"task-{i}" for i in range(tasks)]
    caution = instability_notes(
        study(*(instability("vanilla", 0.1, task=name) for name in names), tasks=names, seeds=seeds)
    )[-1]
    assert ("only the standard deviation of scores is tested" in caution) == tested
    assert ("do not show that one method is steadier" in caution) != tested


def test_markdown_and_page_hold_the_same_table(unstable):
    text = parsed(markdown(unstable))
    assert text.rows[3] == ["method", *HEADER]
    assert text.rows[4] == ["vanilla", *LINE]
    found = Page(page(unstable))
    assert found.tables[1] == text.rows[3:]
    for note in instability_notes(unstable):
        assert note in found.text
        assert note in text.text
    for sentence in instability_reading(unstable):
        assert sentence in found.text
    assert {name.split("-")[0] for name in found.figures} == {"strip", "forest", "cost", "layers"}


def test_the_card_says_what_two_runs_disagree_on(best, unstable):
    made = record("r3f(weight=5.0, sigma=0.01)", 3)
    card = " ".join(model_card(best, made, unstable).split())
    assert (
        "Two runs of this method that differ only in their seeds disagree on 4.0 % of the scored rows (5 runs)." in card
    )
    unstable.luck = []
    assert "disagree" not in model_card(best, made, unstable)


def test_a_study_without_luck_says_nothing_of_it(normal):
    assert blocks(normal, []) == []
    for text in (shown(normal, 80), markdown(normal), Page(page(normal)).text):
        assert "luck" not in text.lower()


def test_user_strings_make_no_markup():
    evil = "<b>|x|</b>[i](http://j)\x1b[2J"
    result = study(instability("vanilla", 0.1), instability(evil, 0.2), other=evil)
    found = Page(page(result))
    assert "b" not in [tag for tag, _ in found.elements]
    assert "\x1b" not in shown(result, 80)
    assert not parsed(markdown(result)).tags & {"b", "a"}

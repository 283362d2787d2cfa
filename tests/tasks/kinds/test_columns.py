from __future__ import annotations

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import TaskSpec
from holdfast.tasks.kinds.columns import choose_columns
from holdfast.tasks.table import Table

PROSE = ["a longer text here", "and another one", "the third of them"]
VALUES = {"prose": PROSE, "word": ["ham", "spam", "ham"], "number": ["1", "0", "1"], "int": [1, 0, 1]}


def table(**columns: str) -> Table:
    """A table whose columns are of the kinds named in ``VALUES``; ``_`` in a name stands for itself."""
    return Table("data.csv", {name: list(VALUES[kind]) for name, kind in columns.items()}, [2, 3, 4])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": "prose", "label": "word"}, ("text", None, "label")),
        ({"Text": "prose", "Label": "number"}, ("Text", None, "Label")),
        ({"idx": "int", "sentence": "prose", "category": "word"}, ("sentence", None, "category")),
        ({"premise": "prose", "hypothesis": "prose", "label": "int"}, ("premise", "hypothesis", "label")),
        ({"question": "prose", "sentence": "prose", "label": "int"}, ("question", "sentence", "label")),
        ({"question1": "word", "question2": "word", "target": "int"}, ("question1", "question2", "target")),
        ({"body_of_mail": "prose", "stars": "int"}, ("body_of_mail", None, "stars")),
        ({"body_of_mail": "prose", "folder": "word"}, ("body_of_mail", None, "folder")),
        ({"id": "int", "body_of_mail": "prose", "stars": "number"}, ("body_of_mail", None, "stars")),
        ({"text": "prose", "label": "int", "label_text": "word"}, ("text", None, "label")),
        ({"text": "prose", "folder": "word"}, ("text", None, "folder")),
        ({"chinese": "word", "label": "int"}, ("chinese", None, "label")),
        ({"": "int", "text": "prose", "label": "int"}, ("text", None, "label")),
        ({"text": "prose", "text2": "prose", "label": "int"}, ("text", "text2", "label")),
        ({"q1": "prose", "q2": "prose", "label": "int"}, ("q1", "q2", "label")),
        ({"Sentence A": "prose", "Sentence B": "prose", "label": "int"}, ("Sentence A", "Sentence B", "label")),
        ({"tweet_id": "int", "tweet": "prose", "stance": "word"}, ("tweet", None, "stance")),
        ({"question": "prose", "answer": "int", "label": "word"}, ("question", None, "label")),
    ],
)
def test_one_possible_reading_is_found_and_told(columns: dict[str, str], expected: tuple[str, str | None, str]) -> None:
    chosen = choose_columns(table(**columns), TaskSpec(source="x"))
    assert (chosen.text, chosen.pair, chosen.label) == expected
    told = " ".join(chosen.notes)
    for name in filter(None, expected):
        assert f"'{name}'" in told


@pytest.mark.parametrize(
    "columns",
    [
        {"title": "prose", "body_of_mail": "prose", "label": "int"},
        {"text": "prose", "review": "prose", "label": "int"},
        {"text": "prose", "label": "int", "target": "int"},
        {"premise": "prose", "hypothesis": "prose", "text": "prose", "label": "int"},
        {"first": "word", "second": "word"},
        {"first": "int", "second": "int"},
        {"text": "prose", "first": "word", "second": "word"},
        {"query": "prose", "text": "prose", "label": "int"},
        {"text": "prose", "aspect": "word", "label": "int"},
        {"target": "word", "tweet": "prose", "stance": "word"},
        {"comment1": "prose", "comment2": "prose", "comment3": "prose", "label": "int"},
        {"text": "prose", "rater1": "word", "rater2": "word"},
    ],
)
def test_several_readings_are_refused_with_the_columns_and_options(columns: dict[str, str]) -> None:
    with pytest.raises(HoldfastError) as error:
        choose_columns(table(**columns), TaskSpec(source="x"))
    message = str(error.value)
    assert "choose" in message or "name them" in message
    assert "--label" in message or "--text-pair" in message
    for name in columns:
        assert f"'{name}'" in message


def test_named_columns_win_over_guesses() -> None:
    data = table(text="prose", review="prose", label="int", target="int")
    chosen = choose_columns(data, TaskSpec(source="x", text="review", label="target"))
    assert (chosen.text, chosen.pair, chosen.label, chosen.notes) == ("review", None, "target", ())
    chosen = choose_columns(data, TaskSpec(source="x", text="review", text_pair="text", label="target"))
    assert (chosen.text, chosen.pair) == ("review", "text")


def test_the_rest_is_guessed_around_named_columns() -> None:
    data = table(question="prose", answer="prose", grade="int")
    chosen = choose_columns(data, TaskSpec(source="x", text="question", text_pair="answer"))
    assert (chosen.text, chosen.pair, chosen.label) == ("question", "answer", "grade")
    chosen = choose_columns(data, TaskSpec(source="x", text_pair="answer", label="grade"))
    assert (chosen.text, chosen.pair) == ("question", "answer")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"text": "txet"}, ["--text 'txet'", "did you mean 'text'", "'label'"]),
        ({"label": "lable"}, ["--label 'lable'", "did you mean 'label'"]),
        ({"text": "text", "text_pair": "nothing_like_it"}, ["--text-pair", "'text', 'label'"]),
        ({"text": "label", "label": "label"}, ["--text and --label", "'label'"]),
    ],
)
def test_wrong_names_are_told_with_the_nearest(options: dict[str, str], parts: list[str]) -> None:
    with pytest.raises(HoldfastError) as error:
        choose_columns(table(text="prose", label="int"), TaskSpec(source="x", **options))
    for part in ["data.csv", *parts]:
        assert part in str(error.value)


def test_a_first_row_taken_for_column_names_is_noticed() -> None:
    data = Table("data.csv", {"the first text of all": PROSE, "ham": ["spam", "ham", "ham"]}, [2, 3, 4])
    with pytest.raises(HoldfastError, match=r"data\.csv: 'ham' is a column name and also a value .* header line"):
        choose_columns(data, TaskSpec(source="x"))
    assert choose_columns(data, TaskSpec(source="x", label="ham")).label == "ham"


def test_of_many_columns_the_first_are_listed() -> None:
    data = Table("data.csv", {f"c{i}": [1, 0, 1] for i in range(200)}, [2, 3, 4])
    with pytest.raises(HoldfastError, match=r"'c0', 'c1', .*'c19' and 180 more"):
        choose_columns(data, TaskSpec(source="x"))


def test_a_single_column_is_not_enough() -> None:
    with pytest.raises(HoldfastError, match="only one column, 'text'"):
        choose_columns(table(text="prose"), TaskSpec(source="x"))

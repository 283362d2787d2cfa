"""Rows of a text and what may follow it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError

Load = Callable[..., Any]


def questions(rows: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"question": f"What is {i}?", "choice1": f"a {i}", "choice2": f"b {i}", "choice3": "c", "label": i % 3} | more
        for i in range(rows)
    ]


def test_choices_in_the_order_of_their_numbers(load: Load) -> None:
    rows = [{"ending_10": "ten", "ending_2": "two", "context": f"text {i}", "label": i % 2} for i in range(10)]
    task = load(rows, "q.jsonl")
    assert (task.kind, task.label_names, task.metrics) == ("choice", ("ending_2", "ending_10"), ("accuracy",))
    assert task.num_outputs == 1
    assert task.splits["train"].choices == [["two", "ten"]] * 8


@pytest.mark.parametrize("label", [lambda i: i % 3, lambda i: str(i % 3), lambda i: f"choice{i % 3 + 1}"])
def test_the_right_one_is_a_place_or_a_column(load: Load, label: Callable[[int], Any]) -> None:
    task = load([row | {"label": label(i)} for i, row in enumerate(questions(12))], "q.jsonl", holdout=0.1)
    split = task.splits["train"]
    for text, choice in zip(split.texts, split.classes, strict=True):
        assert choice == int(text.split()[-1][:-1]) % 3


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"label": 3}, "label '3' in column 'label' is no choice (line 3); give 0 to 2, a letter from A, or one of"),
        ({"label": None}, "no right choice in line 3"),
        ({"choice2": ""}, "line 3"),
        ({"choice3": None}, "line 3"),
        ({"question": "  "}, "line 3"),
    ],
)
def test_rows_that_do_not_fit_are_named(load: Load, change: dict[str, Any], part: str) -> None:
    rows = questions(10)
    rows[2] |= change
    with pytest.raises(HoldfastError) as error:
        load(rows, "q.jsonl")
    assert part in str(error.value)


def test_a_place_that_is_always_right_teaches_nothing(load: Load) -> None:
    with pytest.raises(HoldfastError, match="in all training rows the same choice is right"):
        load(questions(10, label=1), "q.jsonl")


def test_rows_with_the_same_question_and_other_choices_are_no_repetition(load: Load) -> None:
    rows = [row | {"question": "What?"} for row in questions(20)]
    assert not [warning for warning in load(rows, "q.jsonl").warnings if "also stand in train" in warning]

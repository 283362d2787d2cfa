"""Which kind of task a file is, by its columns and by what the user says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading

Load = Callable[..., Any]

LONG = "a text of several words that nobody would take for a class, number {}"


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (lambda i: {"tokens": [f"a{i}", "b"], "tags": ["x", "y"]}, "tokens"),
        (lambda i: {"text": f"a {i}", "choice1": "x", "choice2": "y", "label": i % 2}, "choice"),
        (lambda i: {"document": LONG.format(i), "summary": LONG.format(i)}, "generation"),
        (lambda i: {"text": f"a {i}", "label": i % 2}, "classification"),
        (lambda i: {"text": f"a {i}", "option1": "x", "label": i % 2}, "classification"),
        (lambda i: {"text": f"a {i}", "score": i / 7}, "regression"),
    ],
)
def test_columns_tell_the_kind(load: Load, row: Callable[[int], dict[str, Any]], kind: str) -> None:
    assert load([row(i) for i in range(20)], "f.jsonl").kind == kind


CLASSES = ("sports desk", "world news", "arts page")


@pytest.mark.parametrize(
    ("row", "options", "names"),
    [
        ({"source": LONG, "target": CLASSES}, {}, CLASSES),
        ({"input": LONG, "output": CLASSES}, {"text": "input", "label": "output"}, CLASSES),
        ({"text": LONG, "tokens": [["a", "b"]], "label": "xyz"}, {}, "xyz"),
        ({"premise": LONG, "hypothesis": LONG, "words": [["a", "b"]], "label": "xyz"}, {}, "xyz"),
        ({"text": LONG, "choice1": LONG, "choice2": LONG, "label": CLASSES}, {"text": "text"}, CLASSES),
        ({"text": LONG, "answer1": LONG, "answer2": LONG, "label": "xyz"}, {"text": "text", "label": "label"}, "xyz"),
        ({"text": LONG, "summary": LONG, "label": "xyz"}, {"text": "text"}, "xyz"),
        ({"prompt": LONG, "label": "xyz"}, {}, "xyz"),
    ],
)
def test_what_was_a_text_and_its_class_stays_one(
    load: Load, row: dict[str, Any], options: dict[str, str], names: tuple[str, ...] | str
) -> None:
    rows = [{name: LONG.format(i) if of is LONG else of[i % len(of)] for name, of in row.items()} for i in range(60)]
    task = load(rows, "f.jsonl", **options)
    assert (task.kind, task.label_names) == ("classification", tuple(sorted(names)))


def test_a_pair_that_the_user_names_is_a_text_and_the_one_to_write(load: Load) -> None:
    rows = [{"instruction": LONG.format(i), "input": "", "output": LONG.format(i)} for i in range(20)]
    assert load(rows, "f.jsonl", text="instruction", label="output").kind == "generation"


def choices(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"text": f"a {i}", **{f"choice{n}": f"{n}" for n in "123"}, "label": one} for i, one in enumerate(labels)]


@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [1, 2, 3], ["A", "B", "C"], ["a", "b", "c"], ["choice1", "choice2", "choice3"]]
)
def test_choices_are_found_however_they_are_counted(load: Load, labels: list[Any]) -> None:
    task = load(choices(labels * 8), "f.jsonl")
    assert task.kind == "choice"
    right = [
        (int(text[2:]) % 3, label)
        for split in task.splits.values()
        for text, label in zip(split.texts, split.classes, strict=True)
    ]
    assert all(expected == label for expected, label in right)
    assert any("counted from 1" in note for note in task.notes) == (labels == [1, 2, 3])


def test_choices_in_one_column_are_told(load: Load) -> None:
    rows = [{"question": f"a {i}", "options": ["x", "y", "z"], "answer": i % 3} for i in range(20)]
    with pytest.raises(HoldfastError, match=r"column 'options' holds all choices of a row; .*choice1"):
        load(rows, "f.jsonl")


def test_choices_that_may_be_counted_from_zero_or_one_are_asked_about(load: Load) -> None:
    with pytest.raises(HoldfastError, match="--read first=0 or --read first=1"):
        load(choices([1, 2] * 10), "f.jsonl")
    task = load(choices([1, 2] * 10), "f.jsonl", read=Reading(first=1))
    assert set(task.splits["train"].classes) == {0, 1}
    with pytest.raises(HoldfastError, match=r"label '3' in column 'label' is no choice .*; give 0 to 2, a letter"):
        load(choices([0, 1, 3] * 10), "f.jsonl")


def test_what_the_user_says_goes_first(load: Load) -> None:
    rows = [{"text": f"a {i}", "choice1": "x", "choice2": "y", "label": i % 2} for i in range(20)]
    assert load(rows, "f.jsonl", kind="classification", text="text", label="label").kind == "classification"
    words = [{"text": [f"a{i}", "b"], "label": ["x", "y"]} for i in range(20)]
    task = load(words, "g.jsonl", kind="tokens", text="text", label="label")
    assert (task.kind, task.label_names) == ("tokens", ("x", "y"))


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"kind": "choice"}, "no columns of choices, such as choice1 and choice2; the columns are 'text', 'label'"),
        ({"kind": "tokens"}, "cannot tell which column holds the words; the columns are 'text', 'label'"),
        ({"kind": "tokens", "text_pair": "label"}, "--text-pair belongs to classification and regression"),
        ({"kind": "tokens", "text": "text", "label": "label"}, "empty or no list"),
    ],
)
def test_columns_that_are_not_there(load: Load, options: dict[str, Any], part: str) -> None:
    with pytest.raises(HoldfastError) as error:
        load([{"text": f"a {i}", "label": i % 2} for i in range(20)], "f.jsonl", **options)
    assert part in str(error.value)
    assert "\n" not in str(error.value)

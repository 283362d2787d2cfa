"""Rows of words with a class each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError

Load = Callable[..., Any]


def names(rows: int, words: str = "tokens", tags: str = "ner_tags") -> list[dict[str, Any]]:
    return [{words: [f"Ann{i}", "wins"], tags: ["B-PER", "O"]} for i in range(rows)]


def test_names_and_what_they_are_scored_by(load: Load) -> None:
    task = load(names(10), "n.jsonl")
    assert (task.kind, task.label_names, task.metrics) == ("tokens", ("O", "B-PER"), ("entity_f1", "accuracy"))
    train = task.splits["train"]
    assert train.words is not None
    assert train.texts[0] == " ".join(train.words[0])
    assert train.tags == [[1, 0]] * 8
    assert any("words: column 'tokens', classes: column 'ner_tags', 'O', 'B-PER'" in note for note in task.notes)


def test_numbers_are_classes_in_their_own_order_and_have_no_entities(load: Load) -> None:
    rows = [{"words": ["a", "b", "c"], "pos_tags": [10, 2, 2]} for _ in range(9)] + [{"words": ["x"], "pos_tags": [10]}]
    task = load(rows, "n.jsonl", holdout=0.1)
    assert (task.label_names, task.metrics) == (("2", "10"), ("accuracy",))
    assert task.splits["train"].tags[0] == [1, 0, 0]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"tokens": ["Ann"]}, "1 words and 2 classes in line 3; give every word one"),
        ({"tokens": ["Ann", " "]}, "a word that is empty or no text in line 3"),
        ({"tokens": ["Ann", 3]}, "a word that is empty or no text in line 3"),
        ({"tokens": "Ann wins"}, "empty or no list in line 3"),
        ({"tokens": [], "ner_tags": []}, "empty or no list in line 3"),
        ({"ner_tags": "O O"}, "empty or no list in line 3"),
        ({"ner_tags": ["O", None]}, "has nothing, which stands for no class, in line 3; give every word a class"),
        ({"ner_tags": ["O", ["O"]]}, "holds lists or objects for a word in line 3; give every word one class"),
        ({"tokens": ["Ann", "\ud83d"]}, "a word that is empty or no text in line 3"),
    ],
)
def test_rows_that_do_not_fit_are_named(load: Load, change: dict[str, Any], part: str) -> None:
    rows = names(10)
    rows[2] |= change
    with pytest.raises(HoldfastError, match=r"n\.jsonl") as error:
        load(rows, "n.jsonl")
    assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_classes_that_only_look_like_numbers_are_names(load: Load) -> None:
    rows = [{"tokens": [f"a{i}", "b"], "ner_tags": ["--1", "\u00b2"]} for i in range(9)]
    assert load(rows, "n.jsonl").label_names == ("--1", "\u00b2")


def test_of_names_and_parts_of_speech_the_names_are_learned_and_the_others_told(load: Load) -> None:
    rows = [row | {"pos_tags": ["NNP", "VBZ"]} for row in names(10)]
    task = load(rows, "n.jsonl")
    assert task.label_names == ("O", "B-PER")
    assert any("further columns of lists: 'pos_tags'; give one to --label" in note for note in task.notes)
    unknown = [row | {"pos_tags": ["NNP", "VBZ"]} for row in names(10, tags="people")]
    with pytest.raises(HoldfastError, match="give --label pos_tags or --label people"):
        load(unknown, "n.jsonl")


def test_a_class_that_only_other_splits_have_is_named(load: Load, write: Callable[..., Any]) -> None:
    other = write("v.jsonl", [{"tokens": ["EU"], "ner_tags": ["B-ORG"]}])
    with pytest.raises(HoldfastError, match=r"class 'B-ORG' in column 'ner_tags' is none of the training.*line 1"):
        load(names(10), "n.jsonl", validation=str(other))


def test_words_without_a_class_are_named(load: Load) -> None:
    rows = [{"tokens": ["a", "b"], "ner_tags": [0, i % 2 if i != 4 else -100]} for i in range(9)]
    with pytest.raises(HoldfastError, match=r"'ner_tags' has -100, which stands for no class, in line 5; give every"):
        load(rows, "n.jsonl")


def test_one_class_alone_teaches_nothing(load: Load) -> None:
    with pytest.raises(HoldfastError, match="all words of the training rows have one class"):
        load([{"tokens": ["a"], "ner_tags": ["O"]}] * 9, "n.jsonl")

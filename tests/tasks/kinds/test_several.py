"""Several labels a row are said as what they are; names of classes that only look so stay names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.kinds.several import several_labels
from holdfast.tasks.table import Table

Load = Callable[..., Any]


def said(values: list[Any], kind: str | None = None) -> str | None:
    return several_labels(Table("f", {"label": values}, list(range(1, len(values) + 1))), "label", kind)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (["good#urgent", "bad", "good", "bad#urgent"], "joined by '#', as in 'good#urgent' (lines 1, 4)"),
        (["a|b|c", "a|b", "c"], "joined by '|'"),
        (["joy; anger", "joy", "anger"], "joined by ';'"),
        (["joy, anger", "joy", "anger, fear", "fear", "anger"], "joined by ','"),
        (["2,27", "2", "27,3,9", "3", "9"], "joined by ','"),
        (["a/b", "a", "b"], "joined by '/'"),
        (["a+b", "a", "b"], "joined by '+'"),
        (["[1, 0, 1]", "[0, 0, 1]"], "vectors of 0 and 1, several labels a row (lines 1, 2)"),
        (["[1 0 1]", "[0 0 1]"], "vectors of 0 and 1, several"),
        (["[0. 1.]", "[1. 1.]"], "vectors of 0 and 1, several"),
        (["a", '{"choices": ["a", "b"]}'], "objects with lists of labels, several labels a row (line 2)"),
        (["['a', 'b']", "['a']"], "lists, several labels a row"),
        (['[[0, 5, "X"]]', "[]"], "spans of characters"),
        (['[{"start": 0, "end": 5, "labels": ["X"]}]'], "spans of characters"),
    ],
)
def test_texts_with_several_labels(values: list[str], part: str) -> None:
    message = said(values) or ""
    assert part in message
    assert "--kind classification, which makes each combination a class" in message
    assert said(values, "classification") is None


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ([["a", "b"], ["b"]], "lists, several labels a row (lines 1, 2)"),
        (["a", ["a", "b"]], "lists, several labels a row (line 2)"),
        ([[1, 0, 1], [0, 1, 1]], "vectors of 0 and 1, several labels"),
        ([[1, 0], [0, 1]], "vectors with a 1 for the class"),
        (["b", {"choices": ["a", "b"]}], "objects with lists of labels, several labels a row (line 2)"),
        ([{"a": 1.0, "b": 0.0}], "lists or objects"),
        ([[{"question": "a"}], []], "lists or objects"),
        ([[[0, 5, "X"]], []], "spans of characters (lines 1, 2)"),
        ([{"entities": [[0, 5, "X"]]}], "spans of characters"),
        ([[{"start_offset": 0, "end_offset": 5, "label": "X"}]], "spans of characters"),
    ],
)
@pytest.mark.parametrize("kind", [None, "classification", "regression"])
def test_lists_and_objects_whatever_the_kind(values: list[Any], part: str, kind: str | None) -> None:
    assert part in (said(values, kind) or "")


@pytest.mark.parametrize(
    "values",
    [
        ["Oil, gas", "Mining", "Oil", "Oil, gas"],
        ["news/sports", "news/politics", "news", "arts"],
        ["sports", "sports/football", "sports/tennis", "sports/tennis/women", "sports/football/women"],
        ["C++", "C#", "C", "F#", "A+", "A"],
        ["FOOD#PRICES", "FOOD#QUALITY", "DRINKS#PRICES", "DRINKS#QUALITY"],
        ["R&B", "R", "B"],
        ["rock, pop", "rock", "jazz"],
        ["1,5", "1", "5", "2,5", "2"],
        ["1/2", "1", "2", "3/4"],
        ["[neutral]", "[happy]", "{x}", "[", ""],
        ['["a"]', '["b"]'],
        [1, 0, 1, None],
        ["[" * 5000 + "]", "b"],
    ],
)
def test_names_that_only_look_joined(values: list[Any]) -> None:
    assert said(values) is None


TEXTS = [f"message number {i}" for i in range(20)]


def test_the_command_says_it_with_the_place(load: Load) -> None:
    rows = "".join(f'"{text}",{("good", "bad", "good#late", "bad#late")[i % 4]}\n' for i, text in enumerate(TEXTS))
    with pytest.raises(HoldfastError, match=r"tickets\.csv: column 'label' holds several labels a row, joined by '#'"):
        load("text,label\n" + rows)
    assert len(load("text,label\n" + rows, kind="classification").label_names) == 4


def test_lists_of_one_label_are_that_label(load: Load) -> None:
    plain = [{"text": text, "label": ("ham", "spam")[i % 2]} for i, text in enumerate(TEXTS)]
    listed = [row | {"label": [row["label"]], "Comments": []} for row in plain]
    task = load(listed, "a.jsonl")
    assert task.fingerprint == load(plain, "b.jsonl").fingerprint
    assert any("column 'label' holds lists of one label each, read as that label" in note for note in task.notes)
    with pytest.raises(HoldfastError, match="no label in line 3"):
        load([row if i != 2 else row | {"label": []} for i, row in enumerate(listed)], "c.jsonl")
    with pytest.raises(HoldfastError, match="lists, several labels a row"):
        load([row if i else row | {"label": ["ham", "spam"]} for i, row in enumerate(listed)], "d.jsonl")


def test_lists_of_one_word_and_its_class_stay_lists(load: Load) -> None:
    rows = [{"tokens": [text.split()[-1]], "labels": [("N", "M")[i % 2]]} for i, text in enumerate(TEXTS)]
    assert load(rows, "a.jsonl").kind == "tokens"


def test_columns_of_labels_are_named_and_one_can_be_chosen(load: Load) -> None:
    rows = "".join(f"{text},{i % 2},{i // 2 % 2}\n" for i, text in enumerate(TEXTS))
    with pytest.raises(HoldfastError, match=r"columns 'rude', 'late' hold 0 or 1 each, .*choose one .* with --label"):
        load("text,rude,late\n" + rows)
    assert load("text,rude,late\n" + rows, label="late").label_names == ("0", "1")


@pytest.mark.parametrize("words", [{}, {"tokens": [{"text": "message", "start": 0, "end": 7, "id": 0}]}])
def test_spans_beside_their_text(load: Load, words: dict[str, Any]) -> None:
    spans = [{"start": 0, "end": 7, "label": "ITEM"}]
    rows = [{"text": text, **words, "spans": spans, "answer": "accept"} for text in TEXTS]
    with pytest.raises(HoldfastError, match=r"column 'spans' holds spans of characters, .*'tokens' and 'ner_tags'"):
        load(rows, "a.jsonl")


def test_texts_to_write_may_have_spans_and_flags_beside_them(load: Load) -> None:
    spans = [{"start": 0, "end": 7, "label": "ITEM"}]
    rows = [
        {"prompt": f"a {t}", "response": f"the {t}", "spans": spans, "a": 0, "b": i % 2} for i, t in enumerate(TEXTS)
    ]
    assert load(rows, "a.jsonl").kind == "generation"


def test_choices_of_an_annotator_are_labels_when_named(load: Load) -> None:
    rows = [
        {"text": text, "options": [{"id": "a"}, {"id": "b"}], "accept": ["ab"[i % 2]]} for i, text in enumerate(TEXTS)
    ]
    assert load(rows, "a.jsonl", label="accept").label_names == ("a", "b")
    rows[3]["accept"] = ["a", "b"]
    with pytest.raises(HoldfastError, match="'accept' holds lists, several labels a row"):
        load(rows, "b.jsonl", label="accept")


@pytest.mark.parametrize("how", [repr, lambda words: str(words).replace("'", '"')])
def test_lists_of_words_written_as_text(load: Load, how: Callable[[list[str]], str]) -> None:
    rows = "".join(f"{how(text.split())}\t[0, {i % 2}, 0]\n" for i, text in enumerate(TEXTS))
    with pytest.raises(HoldfastError, match=r"column 'tokens' holds lists of words written as text, .* JSON Lines or"):
        load("tokens\tner_tags\n" + rows, "a.tsv")

"""What cells mean: numbers in several spellings, values that stand for none, the same text twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.tasks.task import Task

from .conftest import everything

Load = Callable[..., Task]


def rows(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"text": f"message number {i}", "label": label} for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("write_number", "value", "told"),
    [
        (lambda i: f"{i / 4:.2f}".replace(".", ","), lambda i: i / 4, "a decimal comma"),
        (lambda i: f"{5 * i}%", lambda i: 0.05 * i, "a percent sign"),
        (lambda i: f"{5 * i + 0.5} %", lambda i: 0.05 * i + 0.005, "a percent sign"),
        (lambda i: f"{i / 4:.2e}", lambda i: i / 4, "regression"),
        (lambda i: i / 4, lambda i: i / 4, "regression"),
    ],
)
def test_numbers_in_other_spellings_are_numbers(
    load: Load, write_number: Callable[[int], Any], value: Callable[[int], float], told: str
) -> None:
    task = load(rows([write_number(i) for i in range(20)]), "a.jsonl")
    assert task.kind == "regression"
    assert sorted(label for *_, label in everything(task)) == pytest.approx([value(i) for i in range(20)])
    assert any(told in note for note in task.notes)


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        ([str(7 * i % 101) for i in range(60)], "60 different whole numbers, 0 to 99.*--kind regression"),
        ([f"{i / 4}" for i in range(19)] + ["high"], r"holds numbers, and 'high' \(line 20\)"),
        ([f"{i},{i:03}" for i in range(100, 120)], "thousands or fractions"),
    ],
)
def test_numbers_that_may_be_classes_are_asked_about(load: Load, labels: list[str], part: str) -> None:
    with pytest.raises(HoldfastError, match=part):
        load(rows(labels), "a.jsonl")
    assert load(rows(labels * 3), "b.jsonl", kind="classification").kind == "classification"


@pytest.mark.parametrize("write_number", ["€{:.2f}", "{:.1f}/10", "{:.0f} kg", "$ {:.0f}"])
def test_values_that_only_look_like_numbers_are_told(load: Load, write_number: str) -> None:
    labels = [write_number.format(i % 30 + 1) for i in range(40)]
    with pytest.raises(HoldfastError, match=r"look like numbers, such as .*; write them as 1\.5 is written"):
        load(rows(labels), "a.jsonl")


def test_half_points_of_a_rating_are_numbers(load: Load) -> None:
    table = [{"text": f"message number {i}", "rating": 1 + i % 9 / 2} for i in range(40)]
    assert load(table, "a.jsonl").kind == "regression"
    assert load(table, "a.jsonl", kind="classification").label_names[:2] == ("1", "1.5")


def test_true_in_any_letters_is_one_class(load: Load, write: Callable[..., Any]) -> None:
    other = write("test.csv", "text,label\nx,TRUE\ny,false\n")
    task = load(rows(["True", "False", "true", "FALSE"] * 5), "a.jsonl", test=str(other))
    assert task.label_names == ("False", "True")
    assert task.splits["test"].labels == [1, 0]


def test_codes_without_a_gap_are_classes(load: Load) -> None:
    assert load(rows([str(1 + i % 12) for i in range(120)]), "a.jsonl").kind == "classification"
    with pytest.raises(HoldfastError, match="--kind regression"):
        load([{"text": f"message number {i}", "score": i % 12} for i in range(120)], "b.jsonl")


def test_one_and_one_point_zero_are_one_class(load: Load, write: Callable[..., Any]) -> None:
    task = load(rows(["0", "1", "1.0", "0.0"] * 5), "a.jsonl")
    assert task.label_names == ("0", "1")
    other = write("test.csv", "text,label\nx,1.0\ny,0\nz,0.00\n")
    task = load(rows(["0", "1"] * 10), "b.jsonl", test=str(other))
    assert task.splits["test"].labels == [1, 0, 0]
    assert load(rows(["01", "1", "2"] * 5), "c.jsonl").label_names == ("01", "1", "2")


PLACEHOLDERS = ["", "#N/A", "NULL", "?", "n/a", "<NA>", "#VALUE!", None]


@pytest.mark.parametrize("empty", PLACEHOLDERS)
def test_missing_labels_are_counted_and_left_out_when_asked(load: Load, empty: str | None) -> None:
    table = rows(["yes", "no"] * 10)
    table[4]["label"] = table[7]["label"] = empty
    with pytest.raises(HoldfastError, match=r"column 'label' has no label in lines 5, 8 \(2 of 20 rows: 2 "):
        load(table, "a.jsonl")
    task = load(table, "a.jsonl", read=Reading(missing="drop"))
    assert sum(map(len, task.splits.values())) == 18
    assert any("which are left out" in note and "2 of 20" in note for note in task.notes)


@pytest.mark.parametrize("empty", ["nan", "#NAME?", "NULL"])
def test_texts_that_stand_for_none(load: Load, empty: str) -> None:
    table = rows(["yes", "no"] * 10)
    table[4]["text"] = empty
    with pytest.raises(HoldfastError, match=r"has no text in line 5 \(1 of 20 rows: 1 .*missing=keep"):
        load(table, "a.jsonl")
    kept = load(table, "a.jsonl", read=Reading(missing="keep"))
    assert empty in {text for text, *_ in everything(kept)}


def test_classes_and_texts_that_only_look_like_none_stay(load: Load) -> None:
    table = rows(["FAVOR", "AGAINST", "NONE"] * 6)
    table[4]["text"], table[5]["text"] = "?", "none"
    task = load(table, "a.jsonl")
    assert task.label_names == ("AGAINST", "FAVOR", "NONE")
    assert {"?", "none"} <= {text for text, *_ in everything(task)}


def test_classes_that_look_alike_are_one_and_told(load: Load) -> None:
    cafe = unicodedata.normalize("NFD", "café")
    task = load(rows(["café", "bar", cafe, "bar\u200b", "caf\u00e9\u00a0", "bar"] * 4), "a.jsonl")
    assert task.label_names == ("bar", "café")
    assert any("look the same" in note for note in task.notes)


def test_texts_are_compared_in_one_form(load: Load, write: Callable[..., Any]) -> None:
    other = write("other.jsonl", [{"text": "Le Cafe\u0301 \u200bdu nord", "label": "a"}, {"text": "new", "label": "b"}])
    table = [{"text": f"le café du {place}", "label": "ab"[i % 2]} for i, place in enumerate(("nord", "sud", "parc"))]
    task = load(table, "a.jsonl", validation=str(other))
    assert any(warning.startswith("1 of 2 validation rows also stand in train") for warning in task.warnings)


def test_characters_that_cannot_be_seen_or_are_broken_are_told(load: Load) -> None:
    table = rows(["yes", "no"] * 10)
    table[3]["text"] = "a\u200bb and \u200b"
    table[6]["text"] = "it\u00e2\u20ac\u2122s lost"
    table[9]["text"] = "lost \ufffd here"
    table[11]["text"] = "a family \U0001f468\u200d\U0001f469"
    told = " ".join(load(table, "a.jsonl").warnings)
    assert "2 of 20 texts in column 'text' hold characters that cannot be seen" in told
    assert "U+200B zero width space in 1" in told
    assert "lines 4, 10" in told
    assert "1 of 20 texts in column 'text' seem to have been decoded wrongly" in told
    assert "'it’s'" in told


def test_the_same_text_under_different_labels_is_counted(load: Load) -> None:
    table = rows(["yes", "no"] * 10)
    for i in (2, 3, 7):
        table[i]["text"] = "Please close this" if i == 3 else "please  close this"
    table[10]["text"] = table[12]["text"] = "again and again"
    told = load(table, "a.jsonl").warnings
    counts = "1 text found in 3 rows with different labels ('please close this': 2 no, 1 yes; lines 3, 4, 8)"
    assert any(counts in warning for warning in told)
    assert any("1 of 20 rows repeat another, text and label alike" in warning for warning in told)

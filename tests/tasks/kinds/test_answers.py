"""Accepted, rejected and ignored rows."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.kinds.answers import accepted
from holdfast.tasks.table import Table


def table(**columns: list[Any]) -> Table:
    return Table("f.jsonl", columns, list(range(1, len(columns["text"]) + 1)))


def test_only_accepted_rows_have_their_label() -> None:
    given = table(
        text=["a", "b", "c", "d", "e"],
        label=["x", "y", "x", "y", "x"],
        answer=["accept", "reject", "ignore", "accept", "reject"],
    )
    kept, notes = accepted(given)
    assert kept.columns == {"text": ["a", "d"], "label": ["x", "y"]}
    assert kept.rows == [1, 4]
    assert notes == [
        "f.jsonl: of 5 rows 2 with 'reject' and 1 with 'ignore' in column 'answer' are left out",
    ]


def test_a_single_label_that_is_right_or_wrong_is_learned_by_its_answers() -> None:
    with pytest.raises(HoldfastError, match=r"all rows have the label 'x' and column 'answer' .*with --label answer"):
        accepted(table(text=["a", "b"], label=["x", "x"], answer=["accept", "reject"]))
    kept, notes = accepted(table(text=["a", "b"], label=["x", "x"], answer=["accept", "accept"]))
    assert (len(kept), notes) == (2, [])


def test_texts_without_a_label_are_judged_themselves() -> None:
    kept, notes = accepted(table(text=["a", "b", "c"], answer=["accept", "reject", "ignore"]))
    assert kept.columns == {"text": ["a", "b"], "answer": ["accept", "reject"]}
    assert "1 with 'ignore'" in notes[0]


@pytest.mark.parametrize("answers", [["yes", "no"], ["accept", "well"], ["accept", None]])
def test_other_answers_are_a_column_as_any(answers: list[Any]) -> None:
    given = table(text=["a", "b"], label=["x", "y"], answer=answers)
    assert accepted(given) == (given, [])
    assert accepted(table(text=["a"], label=["x"]))[1] == []


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("decision", ["accepted", "rejected", "skipped"]),
        ("accepted", [True, False, False]),
        ("approved", ["1", "0", "0"]),
    ],
)
def test_columns_that_may_accept_rows_are_asked_about(column: str, values: list[Any]) -> None:
    given = table(text=["a", "b", "c"], label=["x", "y", "z"], **{column: values})
    with pytest.raises(HoldfastError, match=f"column '{column}' .*--read rejected=drop .*rejected=keep"):
        accepted(given)
    assert accepted(given, rejected="drop")[0].columns == {"text": ["a"], "label": ["x"]}
    assert accepted(given, rejected="keep") == (given, [])
    # Without another label it is what there is to learn.
    judged = table(text=["a", "b", "c"], **{column: values})
    assert accepted(judged) == (judged, [])


def test_nothing_accepted_is_nothing_to_learn() -> None:
    with pytest.raises(HoldfastError, match="'answer' accepts no row"):
        accepted(table(text=["a", "b"], label=["x", "y"], answer=["reject", "ignore"]))

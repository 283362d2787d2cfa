from __future__ import annotations

import math
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.kinds.labels import check_present, interpret, is_unlabelled
from holdfast.tasks.table import Table


def table(values: list[Any]) -> Table:
    return Table("data.csv", {"label": values}, list(range(2, len(values) + 2)))


@pytest.mark.parametrize(
    ("values", "names", "encoded"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (["10", "9", "10"], ("9", "10"), [1, 0, 1]),
        ([3, -1, 0], ("-1", "0", "3"), [2, 0, 1]),
        (["01", "1", "2"], ("01", "1", "2"), [0, 1, 2]),
        ([True, False], ("false", "true"), [1, 0]),
        ([1.0, 0.0, 1.0], ("0", "1"), [1, 0, 1]),
        (["0.5", "1.5", "0.5"], ("0.5", "1.5"), [0, 1, 0]),
        ([" spam", "ham", "spam "], ("ham", "spam"), [1, 0, 1]),
        (["NA", "None", "null"], ("NA", "None", "null"), [0, 1, 2]),
    ],
)
def test_classes_are_sorted_by_name_or_by_number(values: list[Any], names: tuple[str, ...], encoded: list[int]) -> None:
    labels = interpret(table(values), "label", None)
    assert (labels.kind, labels.names) == ("classification", names)
    assert labels.encode(table(values), "label") == encoded


def test_many_fractional_numbers_are_regression_and_told() -> None:
    values = [str(i / 4) for i in range(20)]
    labels = interpret(table(values), "label", None)
    assert labels.kind == "regression"
    assert "regression" in labels.notes[0]
    assert labels.encode(table(values), "label") == [i / 4 for i in range(20)]


@pytest.mark.parametrize(
    ("values", "kind", "names"),
    [([1, 2, 3], "regression", ()), ([i / 2 for i in range(12)], "classification", 12)],
)
def test_kind_overrides(values: list[Any], kind: Kind, names: Any) -> None:
    labels = interpret(table(values), "label", kind)
    assert labels.kind == kind
    assert len(labels.names) == (names or 0)


@pytest.mark.parametrize("missing", ["", "  ", "nan", "NaN", None, math.nan])
def test_missing_labels_are_named(missing: Any) -> None:
    with pytest.raises(HoldfastError, match=r"data\.csv: column 'label' has no label in lines 3, 5 \(2 of 4 rows"):
        check_present(table(["a", missing, "b", missing]), "label")


def test_more_than_three_rows_are_counted() -> None:
    with pytest.raises(HoldfastError, match="lines 2, 3, 4 and 7 more"):
        check_present(table([None] * 10), "label")


@pytest.mark.parametrize(
    ("values", "train", "hidden"),
    [
        ([-1, -1], [0, 1], True),
        (["-1", "-1"], ["-1", "1"], False),
        ([None, None], [0, 1], True),
        ([None, 1], [0, 1], False),
        ([-1.0, -1.0], [0.5, 2.0], True),
    ],
)
def test_hidden_test_labels(values: list[Any], train: list[Any], hidden: bool) -> None:
    assert is_unlabelled(table(values), "label", train) is hidden
    assert is_unlabelled(table(values), "other")


def test_values_that_do_not_fit_are_named() -> None:
    classes = interpret(table(["a", "b"]), "label", None)
    with pytest.raises(HoldfastError, match=r"label 'c' in column 'label' is none of .* 'a', 'b' \(line 3\)"):
        classes.encode(table(["a", "c"]), "label")
    numbers = interpret(table([1, 2]), "label", "regression")
    for wrong in ("high", "inf"):
        with pytest.raises(HoldfastError, match=rf"label '{wrong}' .* finite number \(line 3\)"):
            numbers.encode(table([1, wrong]), "label")
    with pytest.raises(HoldfastError, match=r"lists of one label each \(line 3\)"):
        interpret(table([1, [1]]), "label", None)

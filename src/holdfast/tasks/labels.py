"""What the values of a label column mean: classes, or numbers to predict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.tasks.delimited import is_number
from holdfast.tasks.several import several_labels
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Kind

_FEW = 10
"""Fractional numbers with more distinct values than this are measurements, not classes."""

HIDDEN = "-1"
"""What the hub's test splits hold where labels are kept secret."""


@dataclass(frozen=True)
class Labels:
    """How label values map to what the model is trained on."""

    kind: Kind
    names: tuple[str, ...]
    """Class names in the order of their indices; empty for regression."""
    index: dict[str, int]
    """Class index of each way a label is written."""
    notes: tuple[str, ...] = ()

    def encode(self, table: Table, column: str) -> list[int] | list[float]:
        """Class indices, or floats. Raises ``HoldfastError`` naming rows whose value fits neither."""
        texts = [written(value) for value in table.columns[column]]
        if self.kind == "regression":
            wrong = [i for i, text in enumerate(texts) if not is_number(text) or math.isinf(float(text))]
            if wrong:
                raise HoldfastError(
                    f"{table.place}: label {texts[wrong[0]]!r} in column {column!r} is not a finite number "
                    f"({table.where(wrong)}); correct it, or give --kind classification"
                )
            return [float(text) for text in texts]
        unseen = [i for i, text in enumerate(texts) if text not in self.index]
        if unseen:
            raise HoldfastError(
                f"{table.place}: label {texts[unseen[0]]!r} in column {column!r} is none of the training labels "
                f"{listed(self.index)} ({table.where(unseen)}); correct it, or drop these rows"
            )
        return [self.index[text] for text in texts]


def written(value: Any) -> str:
    """A label value as text: 1, 1.0 and True read as "1", "1" and "true"; nothing and NaN as ""."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        # A column of whole numbers becomes floats as soon as one cell is missing.
        return str(int(value)) if value.is_integer() else repr(value)
    text = str(value).strip()
    return "" if text.lower() == "nan" else text


def check_present(table: Table, column: str) -> None:
    """Raise ``HoldfastError`` naming the rows without a label."""
    missing = [i for i, value in enumerate(table.columns[column]) if not written(value)]
    if missing:
        raise HoldfastError(
            f"{table.place}: column {column!r} has no label in {table.where(missing)} "
            f"({len(missing)} of {len(table)} rows; empty or NaN): fill them in or remove the rows"
        )


def is_unlabelled(table: Table, column: str, train_values: Sequence[Any] = ()) -> bool:
    """Whether a test table has no label column, only empty labels, or only the hub's -1 for hidden ones."""
    if column not in table.columns:
        return True
    values = {written(value) for value in table.columns[column]}
    return values == {""} or (values == {HIDDEN} and HIDDEN not in {written(value) for value in train_values})


def interpret(table: Table, column: str, kind: Kind | None) -> Labels:
    """Decide from the training labels what they mean.

    Integers, texts and booleans are classes, sorted by name (by value when all are numbers). Numbers with a
    fractional part and more than ten distinct values are a regression target. ``kind`` overrides. Raises
    ``HoldfastError`` for a column that holds several labels a row.
    """
    values = table.columns[column]
    if several := several_labels(table, column, kind):
        raise HoldfastError(f"{table.place}: {several}")
    distinct = sorted({written(value) for value in values})
    numeric = all(is_number(text) for text in distinct)
    if kind is None and numeric and len(distinct) > _FEW and not all(float(text).is_integer() for text in distinct):
        note = f"label: {len(distinct)} distinct numbers with fractions, so this is regression"
        return Labels("regression", (), {}, (note,))
    if kind == "regression":
        return Labels("regression", (), {})
    declared = table.class_names.get(column)
    if declared is not None:
        return Labels("classification", declared, {str(i): i for i in range(len(declared))})
    names = sorted(distinct, key=float) if numeric else distinct
    return Labels("classification", tuple(names), {name: i for i, name in enumerate(names)})

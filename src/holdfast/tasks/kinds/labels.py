"""What the values of a label column mean: classes, or numbers to predict."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.characters import normal
from holdfast.tasks.kinds.several import several_labels
from holdfast.tasks.numbers import grouped, parse_number, spelling
from holdfast.tasks.table import Table, listed

_FEW = 10
"""Numbers with more distinct values than this may be measurements; fractional ones are."""

_ROWS_A_CODE = 5
"""Whole numbers that count classes without a gap have at least so many rows each; scores are thinner."""

_MOSTLY = 0.9
"""Where so large a share of the labels are numbers, the others are mistakes."""

_MEASURES = ("score", "rating", "grade", "points", "percent", "similarity", "value", "intensity", "age", "price")
"""Parts of the names of columns that hold measurements."""

_BOOLEANS = ("true", "false")

_LIKE_NUMBERS = re.compile(r"[^\w\s]?\s*[-+]?\d+([.,:/]\d+)*\s*\S{0,6}")
"""Amounts, shares and counts in spellings that are not read as numbers: €1.30, 3.5/10, 12 kg."""

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
            numbers = [parse_number(text) for text in texts]
            wrong = [i for i, number in enumerate(numbers) if number is None]
            if wrong:
                raise HoldfastError(
                    f"{table.place}: label {texts[wrong[0]]!r} in column {column!r} is not a finite number "
                    f"({table.where(wrong)}); correct it, or give --kind classification"
                )
            return [number for number in numbers if number is not None]
        indices = [self.index.get(text, self.index.get(_one_form(text))) for text in texts]
        unseen = [i for i, index in enumerate(indices) if index is None]
        if unseen:
            raise HoldfastError(
                f"{table.place}: label {texts[unseen[0]]!r} in column {column!r} is none of the training labels "
                f"{listed(self.index)} ({table.where(unseen)}); correct it, or drop these rows"
            )
        return [index for index in indices if index is not None]


def written(value: Any) -> str:
    """A label value as text: 1, 1.0 and True read as "1", "1" and "true"; nothing and NaN as "".

    Texts are in Unicode's form NFC, without characters that cannot be seen.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        # A column of whole numbers becomes floats as soon as one cell is missing.
        return str(int(value)) if value.is_integer() else repr(value)
    return _written_text(str(value))


@lru_cache(maxsize=4096)
def _written_text(text: str) -> str:
    text = normal(text)
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

    Texts, booleans and few numbers are classes, sorted by name (by value when all are numbers); ``1`` and ``1.0`` are
    one. Numbers with a fractional part and more than ten distinct values are a regression target. ``kind`` overrides.
    Raises ``HoldfastError`` for a column that holds several labels a row, and for numbers that may be either.
    """
    values = table.columns[column]
    if several := several_labels(table, column, kind):
        raise HoldfastError(f"{table.place}: {several}")
    texts = [written(value) for value in values]
    counts = Counter(texts)
    numbers = {text: parse_number(text) for text in counts}
    numeric = None not in numbers.values()
    declared = table.class_names.get(column)
    if kind is None and declared is None:
        kind = _kind_of_numbers(table, column, texts, numbers)
    if kind == "regression":
        note = f"label: {len(counts)} different numbers, to be predicted as such (regression)"
        how = spelling(text for text in counts if numbers[text] is not None)
        return Labels("regression", (), {}, (f"{note}, written with {how}" if how else note,))
    if declared is not None:
        return Labels("classification", declared, {str(i): i for i in range(len(declared))})
    classes: dict[str, list[str]] = {}
    for text in counts:
        classes.setdefault(_one_form(text) if numeric or text.lower() in _BOOLEANS else text, []).append(text)
    names = sorted(classes, key=lambda name: (numbers[classes[name][0]] or 0.0, name) if numeric else (0.0, name))
    index = {spelled: i for i, name in enumerate(names) for spelled in (*classes[name], name)}
    notes = _spellings(values, classes)
    if numeric:
        notes.append(f"label: {len(names)} different numbers, taken as classes (--kind regression predicts the number)")
    return Labels("classification", tuple(min(classes[name], key=len) for name in names), index, tuple(notes))


def _kind_of_numbers(table: Table, column: str, texts: Sequence[str], numbers: dict[str, float | None]) -> Kind | None:
    """Return what labels that are numbers are for; None where they may as well be names of classes.

    Raises ``HoldfastError`` where numbers and classes are equally possible.
    """
    values = {number for number in numbers.values() if number is not None}
    place = f"{table.place}: label column {column!r}"
    measured = any(part in column.lower() for part in _MEASURES)
    fractions = not all(number.is_integer() for number in values)
    thin = len(numbers) > _FEW and len(texts) < _ROWS_A_CODE * len(numbers)
    if thin and not values and all(map(_LIKE_NUMBERS.fullmatch, numbers)):
        raise HoldfastError(
            f"{place} holds values that look like numbers, such as {texts[0]!r}; write them as 1.5 is written, or give "
            f"--kind classification"
        )
    if len(values) <= _FEW:
        return "regression" if fractions and measured and None not in numbers.values() else None
    other = [i for i, text in enumerate(texts) if numbers[text] is None]
    options = "--kind regression (a number to predict) or --kind classification"
    if other:
        if len(other) <= (1 - _MOSTLY) * len(texts):
            raise HoldfastError(
                f"{place} holds numbers, and {texts[other[0]]!r} ({table.where(other)}): correct it, or give {options}"
            )
        return None
    if grouped(numbers):
        raise HoldfastError(f"{place}: a comma may set thousands or fractions apart; write numbers such as 1234 or 1.5")
    if fractions:
        return "regression"
    least = min(values)
    gapless = least in (0, 1) and values == {least + i for i in range(len(values))}
    if gapless and not measured and len(texts) >= _ROWS_A_CODE * len(values):
        return None
    raise HoldfastError(
        f"{place} holds {len(values)} different whole numbers, {least:g} to {max(values):g}, which may be measured or "
        f"name classes; give {options}"
    )


def _one_form(text: str) -> str:
    """Return the one form of 1 and 1.0, or of true and True; other texts as they are.

    Zeros at the beginning stay: codes such as 01 have them.
    """
    if text.lower() in _BOOLEANS:
        return text.lower()
    if not re.fullmatch(r"-?(0|[1-9]\d*)[.,]\d+", text):
        return text
    return text.replace(",", ".").rstrip("0").rstrip(".")


def _spellings(values: Sequence[Any], classes: dict[str, list[str]]) -> list[str]:
    """Tell which classes are written in more than one way."""
    notes = [f"label: {listed(ways)} are one class" for ways in classes.values() if len(ways) > 1]
    raw: dict[str, set[str]] = {}
    for value in values:
        if isinstance(value, str):
            raw.setdefault(written(value), set()).add(value.strip(" "))
    unseen = [name for name, ways in raw.items() if len(ways) > 1]
    if unseen:
        notes.append(f"label: {listed(unseen)} are each written in ways that look the same, and are taken as one class")
    return notes

"""Rows of a text and what may follow it, of which one is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import ClassVar, Literal

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.kinds.labels import HIDDEN, check_present, is_unlabelled, written
from holdfast.tasks.kinds.source import row_names
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Split
from holdfast.tasks.validation import read_texts

_NUMBERED = re.compile(r"(choice|ending|option|answer)[_ ]?(\d+|[a-h])", re.IGNORECASE)
"""Column names that the field uses for the choices, one a column."""


def choice_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of ``table`` that hold a choice each, in the order of their numbers; at least two, or none."""
    families: dict[str, list[tuple[int, str]]] = {}
    for name in table.columns:
        if match := _NUMBERED.fullmatch(name):
            number = int(match[2]) if match[2].isdigit() else ascii_uppercase.index(match[2].upper())
            families.setdefault(match[1].lower(), []).append((number, name))
    several = [sorted(columns) for columns in families.values() if len(columns) > 1]
    return tuple(name for _, name in several[0]) if len(several) == 1 else ()


def places_of(choices: Sequence[str], first: int) -> dict[str, int]:
    """Return the place of each choice by all that may stand for it: its number, its letter, its column."""
    letters = {form(letter): i for i, letter in enumerate(ascii_uppercase[: len(choices)]) for form in (str, str.lower)}
    return letters | {str(i + first): i for i in range(len(choices))} | {name: i for i, name in enumerate(choices)}


def read_first(
    tables: Iterable[Table], label: str, choices: Sequence[str], given: Literal[0, 1] | None
) -> tuple[int, list[str]]:
    """Return the number that ``label`` calls the first choice by, as all tables together show, and notes.

    ``given``: what the user says. Raises ``HoldfastError`` where the numbers may be counted from 0 or from 1.
    """
    tables = [table for table in tables if label in table.columns]
    numbers = {written(value) for table in tables for value in table.columns[label]} - {"", HIDDEN}
    last = str(len(choices))
    if given is not None or "0" in numbers or not numbers <= {str(i + 1) for i in range(len(choices))}:
        return given or 0, []
    if last in numbers:
        return 1, [f"right choice: numbers are counted from 1, as {last} is the last (--read first=0 if from 0)"]
    if len(numbers) < 2:
        return 0, []
    raise HoldfastError(
        f"{tables[0].place}: column {label!r} tells the right one of {last} choices by numbers and has neither 0 nor "
        f"{last}, so they may be counted from 0 or from 1; give --read first=0 or --read first=1"
    )


@dataclass(frozen=True)
class MultipleChoice:
    """Reads a text, its choices, and which is right: its number, its letter (A the first), or its column's name."""

    text: str
    choices: tuple[str, ...]
    label: str
    editable: bool
    first: int = 0
    """The number of the first choice."""

    kind: ClassVar[Kind] = "choice"

    @property
    def names(self) -> tuple[str, ...]:
        """The choices' columns."""
        return self.choices

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """The columns of the text, of its choices, and of the right one."""
        return ("text", self.text), *(("choice", name) for name in self.choices), ("right choice", self.label)

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether there is no label column, or no label in it."""
        return is_unlabelled(table, self.label)

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows, and warnings of empty texts. Raises ``HoldfastError`` as ``Reader`` says."""
        texts, warnings = read_texts(table, self.text, "--text", self.editable)
        columns = []
        for choice in self.choices:
            values, more = read_texts(table, choice, "--text", self.editable)
            columns.append(values)
            warnings += more
        labels = self._labels(table) if labelled else None
        return Split(
            texts, None, labels, row_names(table), choices=[list(row) for row in zip(*columns, strict=True)]
        ), warnings

    def _labels(self, table: Table) -> list[int]:
        values = table.column(self.label, "all splits but test need the column chosen with --label")
        check_present(table, self.label)
        places = places_of(self.choices, self.first)
        wrong = [i for i, value in enumerate(values) if written(value) not in places]
        if wrong:
            raise HoldfastError(
                f"{table.place}: label {written(values[wrong[0]])!r} in column {self.label!r} is no choice "
                f"({table.where(wrong)}); give {self.first} to {self.first + len(self.choices) - 1}, a letter from A, "
                f"or one of {listed(self.choices)}, or --kind classification where the label is a class of the text"
            )
        return [places[written(value)] for value in values]

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Raise ``HoldfastError`` where the right choice always stands in the same place."""
        if len(set(train.classes)) < 2:
            raise HoldfastError(f"{place}: in all training rows the same choice is right; give rows that differ")
        return ()

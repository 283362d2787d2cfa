"""Rows of a text and what may follow it, of which one is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from holdfast.errors import HoldfastError
from holdfast.tasks.labels import check_present, is_unlabelled, written
from holdfast.tasks.source import row_names
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Kind, Split
from holdfast.tasks.validation import read_texts

_NUMBERED = re.compile(r"(choice|ending|option|answer)_?(\d+)", re.IGNORECASE)
"""Column names that the field uses for the choices, one a column."""


def choice_columns(table: Table) -> tuple[str, ...]:
    """Return the columns of ``table`` that hold a choice each, in the order of their numbers; at least two, or none."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in table.columns:
        if match := _NUMBERED.fullmatch(name):
            found.setdefault(match[1].lower(), []).append((int(match[2]), name))
    several = [sorted(columns) for columns in found.values() if len(columns) > 1]
    return tuple(name for _, name in several[0]) if len(several) == 1 else ()


@dataclass(frozen=True)
class MultipleChoice:
    """Reads a text, its choices, and which is right: a position from 0, or the name of a choice's column."""

    text: str
    choices: tuple[str, ...]
    label: str
    editable: bool

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
        places = {name: i for i, name in enumerate(self.choices)} | {str(i): i for i in range(len(self.choices))}
        wrong = [i for i, value in enumerate(values) if written(value) not in places]
        if wrong:
            raise HoldfastError(
                f"{table.place}: label {written(values[wrong[0]])!r} in column {self.label!r} is no choice "
                f"({table.where(wrong)}); give 0 to {len(self.choices) - 1}, or one of {listed(self.choices)}, or "
                f"--kind classification where the label is a class of the text"
            )
        return [places[written(value)] for value in values]

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Raise ``HoldfastError`` where the right choice always stands in the same place."""
        if len(set(train.classes)) < 2:
            raise HoldfastError(f"{place}: in all training rows the same choice is right; give rows that differ")
        return ()

"""A source as it was read: its tables, and what makes rows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.records.task import Kind
from holdfast.tasks.column_names import ROW_NAMES
from holdfast.tasks.table import Table
from holdfast.tasks.task import Split


class Reader(Protocol):
    """What rows of one kind of task are made of."""

    @property
    def kind(self) -> Kind:
        """The kind of task."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """``Task.label_names``."""
        ...

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """``Task.used``."""
        ...

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether a table that is not trained on comes without labels; ``train``: the one that is."""
        ...

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows, with labels or without, and warnings.

        Raises ``HoldfastError`` for rows that cannot be used, naming them.
        """
        ...

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Return warnings about the rows to train on. Raises ``HoldfastError`` where nothing can be learnt."""
        ...


@dataclass(frozen=True)
class Source:
    """Tables of one source and how to read them."""

    name: str
    tables: dict[str, Table]
    reader: Reader
    metrics: tuple[str, ...]
    notes: tuple[str, ...]
    unused: tuple[str, ...] = ()
    """``Task.unused``."""


def row_names(table: Table) -> list[str]:
    """Values of a column that names rows, when they differ; else positions, counted from 0."""
    for column, values in table.columns.items():
        if column.lower() in ROW_NAMES and None not in values and len(set(map(str, values))) == len(values):
            return [str(value) for value in values]
    return [str(i) for i in range(len(table))]

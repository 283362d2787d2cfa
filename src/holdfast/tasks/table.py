"""Rows as they stand in a source, before anything is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from holdfast.errors import HoldfastError

_SHOWN = 3
"""Rows named in a message; more would hide the remedy."""

_LISTED = 20
"""Names listed in a message."""


@dataclass(frozen=True)
class Table:
    """The columns of one file or hub split. All columns and ``rows`` have the same length."""

    place: str
    """What messages call it: the file's path, or the hub id and split."""
    columns: dict[str, list[Any]]
    """Values as the format gives them: always text in CSV and TSV, typed in JSON Lines and Parquet."""
    rows: list[int]
    """Number of each row in its source, as an editor shows it."""
    unit: Literal["line", "row"] = "line"
    notes: tuple[str, ...] = field(default=())
    """What was decided while reading."""
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the classes of an integer column, where the format declares them."""
    lines: int | None = None
    """Lines of the file that are neither blank nor the header's; None where the format has none."""

    def __len__(self) -> int:
        return len(self.rows)

    def keep(self, indices: Sequence[int]) -> Table:
        """The given rows, in the given order."""
        columns = {name: [values[i] for i in indices] for name, values in self.columns.items()}
        return replace(self, columns=columns, rows=[self.rows[i] for i in indices])

    def where(self, indices: Iterable[int]) -> str:
        """Name rows for a message: ``line 7``, or ``lines 2, 5, 9 and 14 more``."""
        numbers = [self.rows[i] for i in indices]
        shown = ", ".join(str(number) for number in numbers[:_SHOWN])
        more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
        return f"{self.unit}{'s' if len(numbers) > 1 else ''} {shown}{more}"

    def has_lists(self, name: str) -> bool:
        """Whether most values of a column are lists; of one that is not there, False."""
        values = self.columns.get(name, [])
        return 2 * sum(isinstance(value, list) for value in values) > len(values)

    def column(self, name: str, remedy: str) -> list[Any]:
        """Values of a column.

        Raises ``HoldfastError`` naming the columns there are, and ``remedy``, when it is not one of them.
        """
        if name not in self.columns:
            raise HoldfastError(f"{self.place}: no column {name!r}; the columns are {listed(self.columns)} ({remedy})")
        return self.columns[name]


def counted(number: int, noun: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Iterable[str]) -> str:
    """Names in quotes with commas between them; of many, the first and how many more there are."""
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - _LISTED} more" if len(quoted) > _LISTED else ""
    return ", ".join(quoted[:_LISTED]) + more

"""Values that stand for none: empty cells, and what spreadsheets, data frames and databases write in their place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from holdfast.errors import HoldfastError
from holdfast.tasks.characters import normal
from holdfast.tasks.table import Table

_PLACEHOLDERS = frozenset(
    {"nan", "<na>", "<nan>", "nat", "null", "<null>", "(null)", "\\n", "n/a", "n.a.", "#n/a", "#na"}
    | {"#null!", "#name?", "#value!", "#ref!", "#div/0!", "#num!", "#error!", "#getting_data", "#spill!", "#calc!"}
)
"""In small letters. What data frames, databases and spreadsheets write where there is no value, or a broken one."""

_BESIDE_LABELS = frozenset({"na", "?", "??", "???", "-", "--", "---", ".", "…", "missing", "none given", "tbd"})
"""Placeholders in a column of labels that are texts like any other in a column of texts.

"None" is not among them: it is the name of a class in many tasks, such as stance.
"""

_SHOWN = 4


def placeholder(value: Any, label: bool) -> str | None:
    """Return how ``value`` is named where it stands for none, else None. ``label``: it stands where a label does."""
    if value is None:
        return "empty"
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if not isinstance(value, str):
        return None
    text = normal(value)
    small = text.lower()
    if not text:
        return "empty"
    return text if small in _PLACEHOLDERS or (label and small in _BESIDE_LABELS) else None


def missing_rows(table: Table, column: str, label: bool) -> dict[int, str]:
    """Return the rows of ``column`` that hold no value, each with what stands there."""
    placeholders = ((row, placeholder(value, label)) for row, value in enumerate(table.columns[column]))
    return {row: name for row, name in placeholders if name is not None}


def without_missing(
    table: Table, columns: Mapping[str, str], labels: Sequence[str], choice: Literal["drop", "keep"] | None
) -> tuple[Table, list[str]]:
    """Return ``table`` as the user wants rows without a value treated, and what to tell.

    ``columns``: those used, each with what it holds; ``labels``: of these, those of labels. ``choice``: ``drop``
    leaves such rows out, ``keep`` learns placeholders as they stand. Raises ``HoldfastError`` with counts where there
    is no choice.
    """
    gone: set[int] = set()
    notes = []
    for column, what in columns.items():
        if column not in table.columns:
            continue
        rows = missing_rows(table, column, column in labels)
        if choice == "keep":
            # A cell without anything in it can't be learned from in any way.
            rows = {row: name for row, name in rows.items() if name in ("empty", "NaN")}
        if not rows:
            continue
        kinds = ", ".join(f"{count} {name}" for name, count in Counter(rows.values()).most_common(_SHOWN))
        reason = f"column {column!r} has no {what} in {table.where(rows)} ({len(rows)} of {len(table)} rows: {kinds})"
        if choice != "drop":
            raise HoldfastError(f"{table.place}: {reason}; {_remedy(choice, rows)}")
        gone |= rows.keys()
        notes.append(f"{table.place}: {reason}, which are left out")
    return (table.keep([row for row in range(len(table)) if row not in gone]) if gone else table), notes


def _remedy(choice: str | None, rows: Mapping[int, str]) -> str:
    remedy = "fill them in, or give --read missing=drop to leave these rows out"
    words = {name for name in rows.values() if name not in ("empty", "NaN")}
    if choice is None and words:
        return f"{remedy}, or missing=keep to learn {sorted(words)[0]!r} like any other value"
    return remedy

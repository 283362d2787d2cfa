"""The names of a table's columns: from its first line, which may turn out to be a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast.errors import HoldfastError
from holdfast.tasks.characters import normal
from holdfast.tasks.column_names import KNOWN
from holdfast.tasks.numbers import is_number
from holdfast.tasks.table import counted

_REMEDY = "add a header line such as 'text,label', or give --read header=no, which names them 'column 1', 'column 2', …"


def name_columns(
    place: str, line: int, rows: Sequence[Sequence[str]], header: bool | None
) -> tuple[list[str], list[int], tuple[str, ...]]:
    """Return the names of the columns to keep, their positions, and notes. ``rows``: all, the first at ``line``.

    ``header``: whether the first row holds the names; None where the user leaves it to the file. Columns without a
    name and a value are left out. Raises ``HoldfastError`` for a first row that is none of names.
    """
    if header is False:
        return [f"column {i + 1}" for i in range(len(rows[0]))], list(range(len(rows[0]))), ()
    names, body = [normal(name) for name in rows[0]], rows[1:]
    empty = [i for i, name in enumerate(names) if not name and not any(row[i].strip() for row in body)]
    used = [i for i in range(len(names)) if i not in empty]
    notes = (f"{counted(len(empty), 'column')} without a name or a value left out",) if empty else ()
    # The first name is empty where a data frame was saved with its index.
    unnamed = [i + 1 for i in used if not names[i] and i > 0]
    if unnamed:
        raise HoldfastError(
            f"{place}: column {unnamed[0]} has no name in line {line}; name every column, "
            f"or remove what stands above the names"
        )
    names = [names[i] for i in used]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise HoldfastError(f"{place}: the column name {repeated[0]!r} occurs twice in line {line}; rename one of them")
    if header is None:
        _refuse_data(place, line, names, [[row[i] for i in used] for row in body])
    return names, used, notes


def _refuse_data(place: str, line: int, names: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    numbers = [name for name in names if is_number(name)]
    if numbers:
        raise HoldfastError(
            f"{place}: line {line} should hold column names but reads like data ({numbers[0]!r}); {_REMEDY}"
        )
    if {name.lower() for name in names} & KNOWN:
        return
    for i, name in enumerate(names):
        if name and any(normal(row[i]) == name for row in body):
            raise HoldfastError(
                f"{place}: {name!r} is a column name in line {line} and also a value in that column, so the line "
                f"may be data; {_REMEDY} (--read header=yes if it does hold the names)"
            )

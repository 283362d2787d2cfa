"""JSON text into a Table: an object a line, or one document in any of the forms that tables are saved in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from holdfast.errors import HoldfastError
from holdfast.tasks.table import Table, listed

_FORMS = "write a list of objects, or one object a line"


def read_lines(place: str, text: str) -> Table:
    """Read an object a line, or a list of objects.

    Raises ``HoldfastError`` naming the line for anything else, and for a name that occurs twice in one object.
    """
    if text.lstrip().startswith("["):
        return read_document(place, text)
    objects, numbers = [], []
    # Only "\n" ends a line: JSON texts may hold U+2028 and U+0085, at which str.splitlines would cut.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        value = _parsed(place, line, f"line {number} is not JSON", "write one object a line")
        if not isinstance(value, dict):
            raise HoldfastError(f"{place}: line {number} is not a JSON object; write one object of columns a line")
        objects.append(value)
        numbers.append(number)
    return _table(place, objects, numbers, "line")


def read_document(place: str, text: str) -> Table:
    """Read one document: a list of objects; ``{"data": [...]}``, whatever stands beside it; columns of equal length,
    as lists or as the objects and the ``split`` form of ``DataFrame.to_json``. Or an object a line, as ``read_lines``.

    Raises ``HoldfastError`` naming the line or the row for anything else, and for a name that occurs twice in one
    object.
    """
    if text.lstrip().startswith("{"):
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) > 1 and lines[0].rstrip().endswith("}"):
            return read_lines(place, text)
    value = _parsed(place, text, "it is not JSON", _FORMS)
    if isinstance(value, list):
        return _rows(place, value)
    if not isinstance(value, dict):
        raise HoldfastError(f"{place}: it holds a single value; {_FORMS}")
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _split_form(place, value["columns"], value["data"])
    lists = [name for name, held in value.items() if _all_are(held, dict)]
    if len(lists) == 1:
        table = _rows(place, value[lists[0]])
        others = [name for name in value if name not in lists]
        note = f"{place}: its rows stand under {lists[0]!r}" + (f"; {listed(others)} left out" if others else "")
        return Table(place, table.columns, table.rows, "row", notes=(note,))
    if lists:
        raise HoldfastError(f"{place}: it holds rows under each of {listed(lists)}; write each into a file of its own")
    if value and all(isinstance(held, list) for held in value.values()):
        return _columns(place, value)
    if value and all(isinstance(held, dict) for held in value.values()):
        return _by_row_names(place, value)
    return _rows(place, [value])


def _rows(place: str, values: Sequence[Any]) -> Table:
    wrong = next((i for i, value in enumerate(values, start=1) if not isinstance(value, dict)), None)
    if wrong is not None:
        raise HoldfastError(f"{place}: row {wrong} is not a JSON object; write one object of columns a row")
    return _table(place, values, list(range(1, len(values) + 1)), "row")


def _table(place: str, objects: Sequence[dict[str, Any]], rows: list[int], unit: Literal["line", "row"]) -> Table:
    names = list(dict.fromkeys(name for value in objects for name in value))
    return Table(place, {name: [value.get(name) for value in objects] for name in names}, rows, unit)


def _columns(place: str, columns: dict[str, list[Any]]) -> Table:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        lengths_listed = ", ".join(f"{name!r} ({length})" for name, length in lengths.items())
        raise HoldfastError(f"{place}: its columns differ in their number of rows: {lengths_listed}; {_FORMS}")
    return Table(place, columns, list(range(1, len(next(iter(columns.values()))) + 1)), "row")


def _by_row_names(place: str, value: dict[str, dict[str, Any]]) -> Table:
    """Objects of objects: of columns by the rows' names, or the other way round; data frames name rows by numbers."""
    inner = list(next(iter(value.values())))
    if all(held.keys() == set(inner) for held in value.values()):
        if all(map(str.isdecimal, inner)):
            return _columns(place, {name: [held[row] for row in inner] for name, held in value.items()})
        if all(map(str.isdecimal, value)):
            return _rows(place, list(value.values()))
    raise HoldfastError(f"{place}: it holds objects of objects, and nothing tells which are the rows; {_FORMS}")


def _split_form(place: str, names: list[Any], data: list[Any]) -> Table:
    wrong = next((i for i, row in enumerate(data, 1) if not isinstance(row, list) or len(row) != len(names)), None)
    if wrong is not None or not _all_are(names, str) or len(set(names)) < len(names):
        place_of = f"row {wrong} of 'data'" if wrong is not None else "'columns'"
        raise HoldfastError(f"{place}: {place_of} does not fit its columns; {_FORMS}")
    return _columns(place, {name: [row[i] for row in data] for i, name in enumerate(names)})


def _all_are(value: Any, inner: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(part, inner) for part in value)


def _parsed(place: str, text: str, problem: str, remedy: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        where = f", line {error.lineno}" if error.lineno > 1 else ""
        raise HoldfastError(f"{place}: {problem} ({error.msg}{where}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise HoldfastError(f"{place}: {problem} ({error}); {remedy}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} occurs twice in one object")
    return value

"""Checks of what was read: what cannot be trained on is refused, what looks wrong is told with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from holdfast.errors import HoldfastError
from holdfast.tasks.characters import odd_characters
from holdfast.tasks.overlap import plain
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Split


def texts_of(table: Table, column: str) -> list[str]:
    """The texts of a column. Missing ones become empty.

    Raises ``HoldfastError`` naming the rows that hold something else than text, or text that no tokenizer
    can read.
    """
    values = table.columns[column]
    wrong = [i for i, value in enumerate(values) if value is not None and not isinstance(value, str)]
    wrong = [i for i in wrong if values[i] == values[i]]  # NaN stands for a missing text
    if wrong:
        kind = type(values[wrong[0]]).__name__
        raise HoldfastError(
            f"{table.place}: column {column!r} holds {kind} values instead of text ({table.where(wrong)}); "
            f"choose the text column with --text"
        )
    texts = [value if isinstance(value, str) else "" for value in values]
    broken = [i for i, text in enumerate(texts) if not _encodable(text)]
    if broken:
        raise HoldfastError(
            f"{table.place}: column {column!r} holds half a surrogate pair, as a cut emoji does "
            f"({table.where(broken)}); remove it"
        )
    return texts


def read_texts(table: Table, column: str, option: str, editable: bool) -> tuple[list[str], list[str]]:
    """Return the texts of a column that ``option`` chooses, and warnings of empty ones.

    Raises ``HoldfastError`` where the column is missing, for what is no text, and for empty texts in ``editable`` rows.
    """
    table.column(column, f"all splits need the column chosen with {option}")
    texts = texts_of(table, column)
    warnings = odd_characters(table, column, texts)
    if editable:
        refuse_empty(table, column, texts)
    elif empty := empty_rows(texts):
        warnings.append(f"{table.place}: {len(empty)} empty texts ({table.where(empty)})")
    return texts, warnings


def empty_rows(texts: list[str]) -> list[int]:
    """Indices of empty and whitespace-only texts."""
    return [i for i, text in enumerate(texts) if not text.strip()]


def refuse_empty(table: Table, column: str, texts: list[str]) -> None:
    """Raise ``HoldfastError`` naming the rows whose text is empty."""
    empty = empty_rows(texts)
    if empty:
        raise HoldfastError(
            f"{table.place}: column {column!r} is empty in {table.where(empty)} "
            f"({len(empty)} of {len(texts)} rows): fill them in or remove the rows"
        )


def check_classes(place: str, labels: list[int], names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse training labels that no classifier can learn from; return warnings about thin classes.

    Raises ``HoldfastError`` for fewer than two classes, for fewer rows than classes, and for labels that
    all differ.
    """
    counts = Counter(labels)
    if len(counts) < 2:
        only = listed(names[label] for label in counts)
        raise HoldfastError(f"{place}: the training rows have one class, {only}; at least two are needed")
    if len(labels) < len(names):
        raise HoldfastError(
            f"{place}: {len(labels)} training rows for {len(names)} classes; add rows or merge classes "
            f"(a number to predict needs --kind regression, "
            f"a text to write --kind generation)"
        )
    if len(counts) == len(labels):
        raise HoldfastError(
            f"{place}: each of the {len(labels)} training rows has a label of its own, so there is nothing to learn; "
            f"choose the label column with --label (a number to predict needs --kind regression, "
            f"a text to write --kind generation)"
        )
    warnings = []
    single = [names[label] for label in range(len(names)) if counts[label] == 1]
    if single:
        warnings.append(f"{place}: {_classes(single)} a single training row, which is too few to learn from")
    absent = [names[label] for label in range(len(names)) if counts[label] == 0]
    if absent:
        warnings.append(f"{place}: {_classes(absent)} no training row")
    alike = [group for group in _alike(names) if len(group) > 1]
    for group in alike:
        warnings.append(f"{place}: the classes {listed(group)} differ only in case or spaces; are they one?")
    return tuple(warnings)


def class_gaps(splits: Mapping[str, Split], names: tuple[str, ...]) -> tuple[str, ...]:
    """Warn of classes that are trained on but that the validation rows lack, so no score shows them."""
    missing = sorted(set(splits["train"].classes) - set(splits["validation"].classes))
    if not missing:
        return ()
    return (f"validation has no row of {listed(names[label] for label in missing)}; scores do not show them",)


def check_regression(place: str, values: list[float]) -> None:
    """Raise ``HoldfastError`` when all values to predict are the same."""
    if len(set(values)) < 2:
        raise HoldfastError(f"{place}: all training rows have the same value to predict; give rows that differ")


def _alike(names: tuple[str, ...]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(plain(name), []).append(name)
    return list(groups.values())


def _classes(names: list[str]) -> str:
    return f"class {listed(names)} has" if len(names) == 1 else f"classes {listed(names)} have each"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Which columns hold the texts and the label: named by the user, else guessed where one reading is possible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.errors import HoldfastError, nearest
from holdfast.records.task import TaskSpec
from holdfast.tasks.column_names import DECISIVE, FURTHER_LABELS, FURTHER_TEXTS, LABELS, PAIRS, ROW_NAMES, SINGLES
from holdfast.tasks.numbers import is_number
from holdfast.tasks.table import Table, listed

_ROW_NAME = re.compile(r"(.*[_\s-])?(id|ids|idx|uuid|guid)|.*[a-z](ID|Id)")
_FIRST_OF_TWO = re.compile(r"(.*?)[_\s-]?(1|a|A)?")
_VALUES_A_TEXT = 3
"""A text recurs in fewer rows than this on average; the name of a class in more."""


@dataclass(frozen=True)
class Columns:
    """The columns of a task, and how they were found."""

    text: str
    pair: str | None
    label: str
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """What each column holds, the label last."""
        pair = () if self.pair is None else (("second text", self.pair),)
        return ("text", self.text), *pair, ("label", self.label)


def choose_columns(table: Table, spec: TaskSpec) -> Columns:
    """Find the columns in the training table.

    Raises ``HoldfastError`` listing the columns and the options when a named one is missing or when more
    than one reading, or none, is possible.
    """
    options = {"--text": spec.text, "--text-pair": spec.text_pair, "--label": spec.label}
    for option, name in options.items():
        if name is not None and name not in table.columns:
            near = nearest(name, table.columns)
            raise HoldfastError(f"{table.place}: {option} {name!r} is no column{near}; the columns are {_names(table)}")
    given = [name for name in options.values() if name is not None]
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        both = " and ".join(option for option, name in options.items() if name == twice)
        raise HoldfastError(f"{table.place}: {both} name the same column {twice!r}; give each its own")
    if len(table.columns) < 2:
        raise HoldfastError(
            f"{table.place}: only one column, {_names(table)}; a text column and a label column are needed"
        )
    label, label_note = _label(table, spec)
    text, pair, text_note = _texts(table, spec, label)
    if label is None:
        label, label_note = _last_left(table, [name for name in (text, pair) if name])
    return Columns(text, pair, label, tuple(note for note in (text_note, label_note) if note))


def _label(table: Table, spec: TaskSpec) -> tuple[str | None, str]:
    if spec.label is not None:
        return spec.label, ""
    free = [name for name in _free(table, spec) if name != spec.text]
    known = [name for name in free if name.lower() in LABELS]
    if not any(name.lower() in DECISIVE for name in known):
        known += [name for name in free if name.lower() in FURTHER_LABELS and not is_prose(table, name)]
    if len(known) > 1:
        raise HoldfastError(
            f"{table.place}: {listed(known)} could each be the label; choose one with --label "
            f"(the columns are {_names(table)})"
        )
    if known:
        return known[0], f"label: column {known[0]!r} (by its name)"
    return None, ""


def _texts(table: Table, spec: TaskSpec, label: str | None) -> tuple[str, str | None, str]:
    if spec.text is not None:
        return spec.text, spec.text_pair, ""
    free = [name for name in _free(table, spec) if name != label]
    texts = [name for name in free if _is_text(table, name, label)]
    if spec.text_pair is None:
        pairs = _pairs(table, free)
        if len(pairs) == 1 and not set(texts) - set(pairs[0]):
            text, pair = pairs[0]
            return text, pair, f"text: column {text!r}, second text: column {pair!r} (by their names)"
        if pairs or len(texts) > 1:
            raise _several_texts(table, list(dict.fromkeys([*texts, *(name for pair in pairs for name in pair)])))
    singles = [name for name in texts if name.lower() in SINGLES]
    if len(singles) == 1:
        return singles[0], spec.text_pair, f"text: column {singles[0]!r} (by its name)"
    texts = texts or [name for name in free if is_prose(table, name)]
    texts = texts or [name for name in free if _is_string(table, name)]
    if len(texts) == 1:
        return texts[0], spec.text_pair, f"text: column {texts[0]!r} (the only text column)"
    raise _ambiguous(table)


def _pairs(table: Table, free: list[str]) -> list[tuple[str, str]]:
    """Return the columns that by their names are the two texts of a pair."""
    strings = [name for name in free if _is_string(table, name)]
    by_lower = {name.lower(): name for name in strings}
    pairs = [(by_lower[a], by_lower[b]) for a, b in PAIRS if a in by_lower and b in by_lower]
    # Numbers also tell apart what several people said of a row.
    strings = [name for name in strings if _differs(table, name)]
    for first in strings:
        match = _FIRST_OF_TWO.fullmatch(first)
        if match and match[1]:
            second = {"a": ("b",), "A": ("B",)}.get(match[2], ("2",))
            ends = {f"{match[1]}{blank}{end}" for blank in ("", "_", " ", "-") for end in second}
            pairs += [(first, other) for other in strings if other in ends and other != first]
    return list(dict.fromkeys(pairs))


def _last_left(table: Table, texts: list[str]) -> tuple[str, str]:
    left = [name for name in table.columns if name not in texts and not _names_rows(name)]
    if len(left) != 1:
        raise _ambiguous(table)
    if left[0] in table.columns[left[0]]:
        raise HoldfastError(
            f"{table.place}: {left[0]!r} is a column name and also a value in that column, so line 1 may be data; "
            f"add a header line such as 'text,label', or choose the columns with --text and --label"
        )
    return left[0], f"label: column {left[0]!r} (the only other column)"


def _free(table: Table, spec: TaskSpec) -> Iterator[str]:
    taken = {spec.text, spec.text_pair, spec.label}
    return (name for name in table.columns if name not in taken and not _names_rows(name))


def _names_rows(name: str) -> bool:
    return name.lower() in ROW_NAMES or _ROW_NAME.fullmatch(name) is not None


def _is_text(table: Table, name: str, label: str | None) -> bool:
    """Whether a column holds texts, by its name or because they are of several words; or else it is the ``label``."""
    named = name.lower() in SINGLES or (label is not None and name.lower() in FURTHER_TEXTS)
    if named or not is_prose(table, name):
        return named and _is_string(table, name)
    return label is not None or _differs(table, name)


def _differs(table: Table, name: str) -> bool:
    return _VALUES_A_TEXT * len({value for value in table.columns[name] if isinstance(value, str)}) > len(table)


def _is_string(table: Table, name: str) -> bool:
    values = [value for value in table.columns[name] if value is not None and value != ""]
    return bool(values) and all(isinstance(v, str) for v in values) and not all(is_number(v) for v in values)


def is_prose(table: Table, name: str) -> bool:
    """Strings most of which are more than one word: a text rather than a class name."""
    values = table.columns[name]
    return _is_string(table, name) and 2 * sum(" " in (v or "").strip() for v in values) > len(values)


def _ambiguous(table: Table) -> HoldfastError:
    return HoldfastError(
        f"{table.place}: cannot tell which column is the text and which the label; the columns are {_names(table)}: "
        f"name them with --text (and --text-pair for pairs) and --label"
    )


def _several_texts(table: Table, texts: list[str]) -> HoldfastError:
    return HoldfastError(
        f"{table.place}: {listed(texts)} could each be the text, or two of them a pair; choose with --text, and with "
        f"--text-pair for the second text of a pair; other columns are then left out (the columns are {_names(table)})"
    )


def _names(table: Table) -> str:
    return listed(table.columns)

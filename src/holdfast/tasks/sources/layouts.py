"""What the columns of a file of words hold, where the file does not say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from holdfast.errors import HoldfastError

Column = Sequence[Sequence[str]]
"""Of each sentence a list of the words' values."""

TOKENS = "tokens"

_SPAN = re.compile(r"[BIESLUM][-_].+|.+[-_][BIESLUM]|[BIESLUMO]")
"""Classes of the words of spans: B-PER, PER-B, O."""

_UNSAID = ("_", "-", "*", "")
_CHUNKS = {"ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP"}
_PART_OF_SPEECH = re.compile(r"[^a-z]+")
_PLACE = re.compile(r"(\d+[-._:])?(\d+)")
_OFFSETS = re.compile(r"\d+[-:]\d+")
_GUESSED = re.compile(r"column \d+|tokens|tags|pos_tags|chunk_tags|ner_tags|nested_ner_tags")

_MOSTLY = 4
"""A column whose most frequent value is O, in one of so many words, holds classes."""


def names_of(place: str, cells: Sequence[Column]) -> list[str]:
    """Return a name for each column: ``tokens``; the field's names for classes; ``column 3`` where nothing tells.

    Raises ``HoldfastError`` where no column can hold words.
    """
    names = [f"column {i}" for i in range(1, len(cells) + 1)]
    left = list(range(len(cells)))
    while len(left) > 1 and _is_place(cells[left[0]], last=len(left) == 2):
        left.pop(0)
    spans = [i for i in left if is_spans(cells[i])]
    others = [i for i in left if i not in spans and not _is_unsaid(cells[i])]
    if not others or (len(others) == 1 and running(cells[others[0]])):
        raise HoldfastError(f"{place}: it holds numbers and classes, and no words; write a word and its class a line")
    if others[0] != left[0] and len(others) > 1:
        return names
    classes = [i for i in others[1:] if i not in spans]
    if len(left) == 2 and classes and _variety(cells[classes[0]]) > _variety(cells[others[0]]):
        return names  # A class and its word, by the look of it.
    names[others[0]] = TOKENS
    for i, name in _class_names(cells, spans, classes, counted=left[0] > 0).items():
        names[i] = name
    return names


def _class_names(cells: Sequence[Column], spans: list[int], classes: list[int], counted: bool) -> dict[int, str]:
    if not spans:
        return {classes[0]: "tags"} if len(classes) == 1 else {}
    names = {}
    if len(classes) == 1 and all(map(_PART_OF_SPEECH.fullmatch, _flat(cells[classes[0]]))):
        names[classes[0]] = "pos_tags"
    if len(spans) == 1:
        return names | {spans[0]: "tags"}
    chunks = [i for i in spans if set() < _types(cells[i]) <= _CHUNKS]
    if len(spans) == 2 and len(chunks) == 1:
        (chunk,) = chunks
        return names | {i: "chunk_tags" if i == chunk else "ner_tags" for i in spans}
    if len(spans) == 2 and counted:
        return names | {spans[0]: "ner_tags", spans[1]: "nested_ner_tags"}
    return names


def is_spans(column: Column) -> bool:
    """Whether these are the classes of words of spans: all of the form B-PER or O, or O most of all."""
    counts = Counter(value for value in _flat(column) if value not in _UNSAID)
    if not counts:
        return False
    most, times = counts.most_common(1)[0]
    marked = any(value == "O" or len(value) > 1 for value in counts)
    return (marked and all(map(_SPAN.fullmatch, counts))) or (most == "O" and _MOSTLY * times >= counts.total())


def running(column: Column) -> bool:
    """Whether the values count the words: 1, 2, 3 or 0, 1, 2, in each sentence anew or through the file.

    They may begin anew inside a row, where nothing else ends a sentence.
    """
    if not all(map(_PLACE.fullmatch, _flat(column))):
        return False
    steps = [(row[0], before, value) for row in column for before, value in pairwise(row)]
    if not any(value == _next(before) for _, before, value in steps):
        return not steps and set(_flat(column)) in ({"0"}, {"1"})
    return all(value in (first, _next(before)) for first, before, value in steps)


def starts_of(row: Sequence[str]) -> list[int]:
    """Return where the numbers of a row of which ``running`` is true begin anew."""
    return [i for i, (before, value) in enumerate(pairwise(row), start=1) if value != _next(before)]


def outside(column: Column) -> tuple[list[list[str]], int]:
    """Return classes of spans with O where none is said, and for how many words, if O stands nowhere else."""
    values = set(_flat(column))
    if "O" in values or not values.intersection(_UNSAID) or not is_spans(column):
        return [list(row) for row in column], 0
    filled = [["O" if value in _UNSAID else value for value in row] for row in column]
    return filled, sum(row.count("O") for row in filled)


def bio_of_brackets(column: Column) -> list[list[str]]:
    """Return B-, I- and O of the names of CoNLL-2012: ``(ORG*``, ``*``, ``*)`` and ``(ORG)``."""
    rows = []
    for row in column:
        inside, tags = "", []
        for value in row:
            if opened := re.match(r"\((\w+)", value):
                inside = opened[1]
                tags.append(f"B-{inside}")
            else:
                tags.append(f"I-{inside}" if inside else "O")
            if value.endswith(")"):
                inside = ""
        rows.append(tags)
    return rows


def is_guessed(names: Iterable[str]) -> bool:
    """Whether these names are those that this module gives."""
    return all(map(_GUESSED.fullmatch, names))


def _is_place(column: Column, last: bool) -> bool:
    """Whether a column says where a word stands: its number, its characters, or, unless ``last``, its document."""
    if running(column) or all(map(_OFFSETS.fullmatch, _flat(column))):
        return True
    several = any(len(row) > 1 for row in column) and len(column) > 1
    return not last and several and all(len(set(row)) == 1 for row in column)


def _next(place: str) -> str:
    match = _PLACE.fullmatch(place)
    return f"{match[1] or ''}{int(match[2]) + 1}" if match else ""


def _is_unsaid(column: Column) -> bool:
    return all(value in _UNSAID for value in _flat(column))


def _types(column: Column) -> set[str]:
    return {value.split("-", 1)[-1] for value in _flat(column)} - {"O"}


def _variety(column: Column) -> int:
    return len(set(_flat(column)))


def _flat(column: Column) -> Iterable[str]:
    return (value for row in column for value in row)

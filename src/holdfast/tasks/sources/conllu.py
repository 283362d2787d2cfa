"""CoNLL-U, the files of Universal Dependencies: lines that are no word, and the columns' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

NAMES = ("column 1", "tokens", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""Columns of CoNLL-U, which CoNLL-X has too; the first one counts the words."""

NONE = "_"
"""What stands where there is nothing to say."""

_NUMBER = re.compile(r"\d+")
_NO_WORD = {"multi-word token": re.compile(r"\d+-\d+"), "empty node": re.compile(r"\d+\.\d+")}
_DECLARED = re.compile(r"#\s*global\.columns\s*=\s*(.+)")


def left_out(parts: Mapping[int, list[str]]) -> tuple[dict[int, list[str]], list[str]]:
    """Return the lines that are words, and notes of how many are none, in a file whose first column counts words.

    ``4-5`` spans the words 4 and 5, which follow; ``5.1`` was not said.
    """
    numbers = [columns[0] for columns in parts.values()]
    kinds = (_NUMBER, *_NO_WORD.values())
    if not any(map(_NUMBER.fullmatch, numbers)) or not all(any(k.fullmatch(n) for k in kinds) for n in numbers):
        return dict(parts), []
    notes = []
    for what, pattern in _NO_WORD.items():
        count = sum(bool(pattern.fullmatch(number)) for number in numbers)
        if count:
            notes.append(f"{count} {what}{'s' if count > 1 else ''} left out")
    return {n: columns for n, columns in parts.items() if _NUMBER.fullmatch(columns[0])}, notes


def declared(comments: Iterable[str]) -> list[str] | None:
    """Return the columns' names of a CoNLL-U Plus file, which stand in a comment; None where none do."""
    for comment in comments:
        if match := _DECLARED.fullmatch(comment.strip()):
            names = [name.lower() for name in match[1].split()]
            return [{"id": "column 1", "form": "tokens"}.get(name, name) for name in names]
    return None


def columns_of(names: Sequence[str], cells: Sequence[list[list[str]]]) -> dict[str, list[list[str]]]:
    """Return the columns by their names, without those in which nothing is said, and one for each key of MISC."""
    columns = {name: rows for name, rows in zip(names, cells, strict=True) if _says(rows) or name == "tokens"}
    misc = [[_pairs(cell) for cell in row] for row in columns.pop("misc", ())]
    for key in dict.fromkeys(key for row in misc for pairs in row for key in pairs):
        if key not in columns:
            columns[key] = [[pairs.get(key, NONE) for pairs in row] for row in misc]
    return columns


def _says(rows: Iterable[Iterable[str]]) -> bool:
    return any(cell != NONE for row in rows for cell in row)


def _pairs(misc: str) -> dict[str, str]:
    """``SpaceAfter=No|name=B-PER`` as a dictionary."""
    pairs = (part.partition("=") for part in misc.split("|"))
    return {key: value for key, _, value in pairs if value}

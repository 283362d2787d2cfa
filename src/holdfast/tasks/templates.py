"""Texts that are built from several columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fill(template: Any, row: Mapping[str, Any]) -> str:
    """Build a text from a row: ``"{word}: {sentence1}"``, or a function of the row."""
    return str(template(row)) if callable(template) else str(template.format_map(row))


def mark_spans(row: Mapping[str, Any]) -> str:
    """The text of a Winograd row with its noun in brackets and its pronoun in asterisks.

    ``[Mark] told Pete many lies about himself. *He* should have been more skeptical.`` The columns
    ``span1_index`` and ``span2_index`` count words between single spaces.
    """
    words = str(row["text"]).split(" ")
    for number, before, after in ((1, "[", "]"), (2, "*", "*")):
        first = int(row[f"span{number}_index"])
        last = first + len(str(row[f"span{number}_text"]).split()) - 1
        words[first] = before + words[first]
        words[last] += after
    return " ".join(words)

"""Rows of a text and the text to write for it: a summary, a response."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from holdfast.errors import HoldfastError
from holdfast.tasks.source import row_names
from holdfast.tasks.table import Table
from holdfast.tasks.task import Kind, Split
from holdfast.tasks.validation import read_texts

PAIRS = (
    ("document", "summary"),
    ("article", "highlights"),
    ("article", "summary"),
    ("article", "abstract"),
    ("dialogue", "summary"),
    ("text", "summary"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "response"),
    ("instruction", "output"),
    ("input", "output"),
    ("source", "target"),
)
"""Column names that the field uses for a text and the text to write."""

REFERENCES = "references"
"""Column of lists of all texts that count as right."""

METRICS = ("rougeL", "rouge1", "rouge2")
BY_SENTENCE = (*METRICS, "rougeLsum")
"""Of summaries that are lists of sentences, one a line."""


@dataclass(frozen=True)
class TextToText:
    """Reads a text and the text to write."""

    text: str
    target: str
    editable: bool

    kind: ClassVar[Kind] = "generation"
    names: ClassVar[tuple[str, ...]] = ()

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether there is nothing to write."""
        values = table.columns.get(self.target)
        return values is None or all(value is None or value == "" for value in values)

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows, and warnings of empty texts. Raises ``HoldfastError`` as ``Reader`` says."""
        texts, warnings = read_texts(table, self.text, "--text", self.editable)
        targets = None
        if labelled:
            targets, more = read_texts(table, self.target, "--label", self.editable)
            warnings += [*more, *_unseen(table, targets)]
        references = self._references(table) if labelled and REFERENCES in table.columns else None
        return Split(texts, None, targets, row_names(table), references=references), warnings

    def _references(self, table: Table) -> list[list[str]]:
        values = table.columns[REFERENCES]
        wrong = [i for i, one in enumerate(values) if not (isinstance(one, list) and one and _all_texts(one))]
        if wrong:
            raise HoldfastError(
                f"{table.place}: column {REFERENCES!r} is no list of texts in {table.where(wrong)}; "
                f"give each row a list, or take the column out"
            )
        return [list(one) for one in values]

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Raise ``HoldfastError`` where all rows ask for the same text."""
        if len(set(train.targets)) < 2:
            raise HoldfastError(f"{place}: all training rows ask for the same text; choose its column with --label")
        return ()


def _unseen(table: Table, targets: Sequence[str]) -> list[str]:
    """Warn of texts in which ROUGE sees nothing, as those in Chinese or Hindi."""
    blind = [i for i, text in enumerate(targets) if text.strip() and not re.search("[a-zA-Z0-9]", text)]
    if not blind:
        return []
    return [
        f"{table.place}: {len(blind)} of {len(targets)} texts to write have no Latin letter and no digit "
        f"({table.where(blind)}): ROUGE counts nothing else, and they score 0 whatever is written"
    ]


def _all_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) and value.strip() for value in values)

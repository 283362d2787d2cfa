"""Rows of a text and the text to write for it: a summary, a response."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.kinds.conversations import as_texts
from holdfast.tasks.kinds.source import row_names
from holdfast.tasks.table import Table
from holdfast.tasks.task import Split
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
    ("src", "tgt"),
)
"""Column names that the field uses for a text and the text to write."""

REFERENCES = "references"
"""Column of lists of all texts that count as right."""

METRICS = ("rougeL", "rouge1", "rouge2")
BY_SENTENCE = (*METRICS, "rougeLsum")
"""Of summaries that are lists of sentences, one a line."""


@dataclass(frozen=True)
class TextToText:
    """Reads a text and the text to write, or conversations of one message and its answer."""

    text: str
    target: str
    """``text`` where one column holds both."""
    editable: bool

    kind: ClassVar[Kind] = "generation"
    names: ClassVar[tuple[str, ...]] = ()

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """The columns of the text and of the one to write."""
        return ("text", self.text), ("text to write", self.target)

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether there is nothing to write."""
        if self.target not in table.columns:
            return True
        if self.text == self.target:
            table, _, target = as_texts(table, self.text, self.target)
            return not any(table.columns[target])
        return all(value is None or value == "" for value in table.columns[self.target])

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows, and warnings of empty texts. Raises ``HoldfastError`` as ``Reader`` says."""
        table, text, target = as_texts(table, self.text, self.target)
        texts, warnings = read_texts(table, text, "--text", self.editable)
        targets = None
        if labelled:
            targets, more = read_texts(table, target, "--label", self.editable)
            warnings += [*more, *_unseen(table, targets)]
        references = None
        if targets is not None and REFERENCES in table.columns:
            references, more = self._references(table, targets)
            warnings += more
        return Split(texts, None, targets, row_names(table), references=references), warnings

    def _references(self, table: Table, targets: list[str]) -> tuple[list[list[str]] | None, list[str]]:
        """Return all texts that count as right; rows without a list have the one to write alone."""
        references = [one or [target] for one, target in zip(table.columns[REFERENCES], targets, strict=True)]
        # A paper's references are other papers.
        wrong = [
            i
            for i, one in enumerate(references)
            if not (isinstance(one, list) and (targets[i] in one or not targets[i].strip()) and _all_texts(one))
        ]
        if not wrong:
            return references, []
        problem = (
            f"{table.place}: column {REFERENCES!r} is no list of texts, with that of column {self.target!r} among "
            f"them, in {table.where(wrong)}"
        )
        if self.editable:
            raise HoldfastError(f"{problem}; correct it, or rename the column")
        return None, [f"{problem}; it is left out"]

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

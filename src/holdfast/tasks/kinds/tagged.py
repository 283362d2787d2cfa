"""Rows of words with a class each: names, parts of speech."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.kinds.labels import written
from holdfast.tasks.kinds.source import row_names
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Split

TAGS = ("ner_tags", "tags", "ner", "labels", "label", "pos_tags", "pos", "chunk_tags", "upos", "xpos")
"""Column names that the field uses for the classes of words; of several the first."""

_NO_CLASS = "-100"
"""What the field's code puts where a piece of a word has no class."""

_UNSAID = {"_", "", _NO_CLASS}
_OF_CONLLU = ("upos", "xpos", "deprel")
"""Columns of CoNLL-U in which ``_`` stands for what nobody has said."""

_NUMBER = re.compile("-?[0-9]+")


def metrics_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return F1 of whole entities and accuracy where the classes are those of spans (B-PER, I-PER, O), else accuracy.

    Accuracy is over words.
    """
    spans = [name for name in names if name[:2] in ("B-", "I-")]
    return ("entity_f1", "accuracy") if spans else ("accuracy",)


@dataclass(frozen=True)
class Tagged:
    """Reads words and their classes, as names or as numbers of ``names``."""

    words: str
    tags: str
    names: tuple[str, ...]

    kind: ClassVar[Kind] = "tokens"

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """The columns of the words and of their classes."""
        return ("words", self.words), ("classes", self.tags)

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether there are no classes, or none that says anything."""
        rows = table.columns.get(self.tags, ())
        return not any(rows) or all(
            isinstance(row, list) and all(written(tag) in _UNSAID for tag in row) for row in rows
        )

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows. Raises ``HoldfastError`` as ``Reader`` says."""
        words = _lists(table, self.words, "--text")
        bad = [i for i, row in enumerate(words) if not all(map(_is_word, row))]
        if bad:
            raise HoldfastError(
                f"{table.place}: column {self.words!r} holds a word that is empty or no text in {table.where(bad)}; "
                f"correct it"
            )
        tags = self._tags(table, words) if labelled else None
        texts = [" ".join(row) for row in words]
        return Split(texts, None, tags, row_names(table), words=words), []

    def _tags(self, table: Table, words: list[list[Any]]) -> list[list[int]]:
        tags = _lists(table, self.tags, "--label")
        uneven = [i for i, row in enumerate(tags) if len(row) != len(words[i])]
        if uneven:
            first = uneven[0]
            raise HoldfastError(
                f"{table.place}: {len(words[first])} words and {len(tags[first])} classes in {table.where(uneven)}; "
                f"give every word one"
            )
        _check_tags(table, self.tags, tags)
        numbers = all(isinstance(tag, int) for row in tags for tag in row)
        index: dict[object, int] = {name: i for i, name in enumerate(self.names)}
        if numbers:
            # Where the format declares names, numbers are their places, whatever the names look like.
            own = self.tags not in table.class_names
            index = {int(name) if own and _NUMBER.fullmatch(name) else i: i for i, name in enumerate(self.names)}
        unknown = [
            i for i, row in enumerate(tags) if any((tag if numbers else written(tag)) not in index for tag in row)
        ]
        if unknown:
            wrong = next(tag for tag in tags[unknown[0]] if (tag if numbers else written(tag)) not in index)
            raise HoldfastError(
                f"{table.place}: class {wrong!r} in column {self.tags!r} is none of the training rows' "
                f"{listed(self.names)} ({table.where(unknown)}); correct it, or drop these rows"
            )
        return [[index[tag if numbers else written(tag)] for tag in row] for row in tags]

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Raise ``HoldfastError`` where all words are of one class."""
        if len({tag for row in train.tags for tag in row}) < 2:
            raise HoldfastError(f"{place}: all words of the training rows have one class; at least two are needed")
        return ()


def tag_names(table: Table, column: str) -> tuple[str, ...]:
    """Return the classes' names: those that the format declares, else what stands there, O first.

    Raises ``HoldfastError`` for a column without lists, and for words without a class.
    """
    if column in table.class_names:
        return table.class_names[column]
    rows = _lists(table, column, "--label")
    _check_tags(table, column, rows)
    names = {written(tag) for row in rows for tag in row}
    if all(map(_NUMBER.fullmatch, names)):
        return tuple(sorted(names, key=int))
    return tuple(sorted(names, key=lambda name: (name != "O", name)))


def _check_tags(table: Table, column: str, rows: list[list[Any]]) -> None:
    nested = [i for i, row in enumerate(rows) if any(isinstance(tag, list | dict) for tag in row)]
    if nested:
        raise HoldfastError(
            f"{table.place}: column {column!r} holds lists or objects for a word in {table.where(nested)}; "
            f"give every word one class"
        )
    unsaid = _UNSAID if column.lower() in _OF_CONLLU else _UNSAID - {"_"}
    without = [(i, written(tag)) for i, row in enumerate(rows) for tag in row if written(tag) in unsaid]
    if without:
        raise HoldfastError(
            f"{table.place}: column {column!r} has {without[0][1] or 'nothing'}, which stands for no class, in "
            f"{table.where(dict.fromkeys(i for i, _ in without))}; give every word a class, such as O"
        )


def _is_word(word: object) -> bool:
    # Half of a surrogate pair, as a cut emoji leaves it, is no text either.
    return isinstance(word, str) and bool(word.strip()) and not re.search("[\ud800-\udfff]", word)


def _lists(table: Table, column: str, option: str) -> list[list[Any]]:
    values = table.column(column, f"all splits need the column chosen with {option}")
    wrong = [i for i, value in enumerate(values) if not isinstance(value, list) or not value]
    if wrong:
        raise HoldfastError(
            f"{table.place}: column {column!r} is empty or no list in {table.where(wrong)}; "
            f"give a list of words and one of classes in every row (JSON Lines, Parquet or CoNLL)"
        )
    return values

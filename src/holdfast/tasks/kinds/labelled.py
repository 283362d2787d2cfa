"""Rows with a class or a number each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.task import Kind
from holdfast.tasks.kinds.columns import Columns
from holdfast.tasks.kinds.labels import Labels, check_present, is_unlabelled
from holdfast.tasks.kinds.source import row_names
from holdfast.tasks.table import Table
from holdfast.tasks.task import Split
from holdfast.tasks.validation import check_classes, check_regression, read_texts


@dataclass(frozen=True)
class Labelled:
    """Reads a text or a pair, and a class or a number."""

    columns: Columns
    labels: Labels
    editable: bool
    """The user can mend the rows, so empty texts are refused; else they are told."""

    @property
    def kind(self) -> Kind:
        """Classification or regression."""
        return self.labels.kind

    @property
    def names(self) -> tuple[str, ...]:
        """The classes; none for regression."""
        return self.labels.names

    @property
    def used(self) -> tuple[tuple[str, str], ...]:
        """The columns of the texts and of the label."""
        return self.columns.used

    def is_unlabelled(self, table: Table, train: Table | None) -> bool:
        """Whether there is no label column, or no label in it."""
        values = [] if train is None else train.columns.get(self.columns.label, [])
        return is_unlabelled(table, self.columns.label, values)

    def read(self, table: Table, labelled: bool) -> tuple[Split, list[str]]:
        """Return the rows, and warnings of empty texts. Raises ``HoldfastError`` as ``Reader`` says."""
        texts, warnings = read_texts(table, self.columns.text, "--text", self.editable)
        pairs = None
        if self.columns.pair is not None:
            pairs, more = read_texts(table, self.columns.pair, "--text-pair", self.editable)
            warnings += more
        labels = None
        if labelled:
            table.column(self.columns.label, "all splits but test need the column chosen with --label")
            check_present(table, self.columns.label)
            labels = self.labels.encode(table, self.columns.label)
        return Split(texts, pairs, labels, row_names(table)), warnings

    def check(self, place: str, train: Split) -> Sequence[str]:
        """Return warnings of thin classes. Raises ``HoldfastError`` where all rows are of one class or value."""
        if self.kind == "regression":
            check_regression(place, train.numbers)
            return ()
        return check_classes(place, train.classes, self.names)

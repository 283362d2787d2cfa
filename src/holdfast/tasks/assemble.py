"""Tables, columns and labels into a checked Task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.tasks.columns import ROW_NAMES, Columns
from holdfast.tasks.holdout import hold_out
from holdfast.tasks.labels import Labels, check_present, is_unlabelled
from holdfast.tasks.table import Table
from holdfast.tasks.task import Kind, Split, Task
from holdfast.tasks.validation import (
    check_classes,
    check_regression,
    class_gaps,
    empty_rows,
    overlap_warnings,
    refuse_empty,
    texts_of,
)

_ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Source:
    """Tables of one source and how to read them."""

    name: str
    tables: dict[str, Table]
    columns: Columns
    labels: Labels
    metrics: tuple[str, ...]
    notes: tuple[str, ...]
    editable: bool
    """The user can mend the rows, so empty texts are refused; else they are told."""


def assemble(source: Source, holdout: float) -> Task:
    """Check the rows, hold out validation rows where there is no such split, and fingerprint the result.

    Raises ``HoldfastError`` for rows that cannot be trained on.
    """
    kind = source.labels.kind
    notes, warnings = list(source.notes), []
    splits = {}
    for name, table in source.tables.items():
        split, found = _split(name, table, source)
        warnings += found
        if split.labels is not None or name == "test":
            splits[name] = split
    train = splits["train"]
    assert train.labels is not None  # only a test split may lack labels
    place = source.tables["train"].place
    if kind == "classification":
        warnings += check_classes(place, [int(label) for label in train.labels], source.labels.names)
    else:
        check_regression(place, [float(label) for label in train.labels])
    if "validation" not in splits:
        rest, held = hold_out(train, holdout, kind, place)
        how = "stratified by class" if kind == "classification" else "at random"
        notes.append(
            f"validation: {len(held)} of {len(train)} training rows held out {how}, as the data have no such split"
        )
        splits = {"train": rest, "validation": held} | {k: v for k, v in splits.items() if k != "train"}
    splits = {name: splits[name] for name in (*_ORDER, *sorted(set(splits) - set(_ORDER))) if name in splits}
    names = source.labels.names
    if kind == "classification":
        warnings += class_gaps(splits, names)
    return finish(Task(source.name, kind, splits, names, source.metrics, "", tuple(notes), tuple(warnings)))


def _split(name: str, table: Table, source: Source) -> tuple[Split, list[str]]:
    warnings = []
    texts = []
    for column, option in ((source.columns.text, "--text"), (source.columns.pair, "--text-pair")):
        if column is None:
            continue
        table.column(column, f"all splits need the column chosen with {option}")
        values = texts_of(table, column)
        if source.editable:
            refuse_empty(table, column, values)
        elif empty := empty_rows(values):
            warnings.append(f"{table.place}: {len(empty)} empty texts in {name} ({table.where(empty)})")
        texts.append(values)
    label = source.columns.label
    train_labels: Sequence[object] = source.tables["train"].columns.get(label, [])
    labels: list[int] | list[float] | None = None
    hidden = name != "train" and is_unlabelled(table, label, train_labels)
    if not hidden or name == "validation":
        table.column(label, "all splits but test need the column chosen with --label")
        check_present(table, label)
        labels = source.labels.encode(table, label)
    return Split(texts[0], texts[1] if len(texts) > 1 else None, labels, _row_names(table)), warnings


def _row_names(table: Table) -> list[str]:
    """Values of a column that names rows, when they differ; else positions, counted from 0."""
    for column, values in table.columns.items():
        if column.lower() in ROW_NAMES and None not in values and len(set(map(str, values))) == len(values):
            return [str(value) for value in values]
    return [str(i) for i in range(len(table))]


def finish(task: Task) -> Task:
    """The task with its fingerprint and with warnings of overlap between its splits."""
    fingerprint = _fingerprint(task.kind, task.label_names, task.splits)
    return replace(task, fingerprint=fingerprint, warnings=(*task.warnings, *overlap_warnings(task.splits)))


def _fingerprint(kind: Kind, names: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256(json.dumps([kind, names]).encode())
    for name in sorted(splits):
        split = splits[name]
        digest.update(json.dumps([name, split.texts, split.pairs, split.labels, split.ids]).encode())
    return digest.hexdigest()

"""Tables, columns and labels into a checked Task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.errors import HoldfastError
from holdfast.tasks.columns import ROW_NAMES, Columns
from holdfast.tasks.holdout import hold_out
from holdfast.tasks.labels import Labels, check_present, is_unlabelled
from holdfast.tasks.overlap import overlap_warnings
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Kind, Split, Task
from holdfast.tasks.validation import (
    check_classes,
    check_regression,
    class_gaps,
    empty_rows,
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
    """Check the rows, and hold out validation rows where there is no such split; the task has no fingerprint yet.

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
    return Task(source.name, kind, splits, names, source.metrics, "", tuple(notes), tuple(warnings))


def assemble_scored(source: Source) -> Task:
    """Check the rows of the one split that is scored: the labelled ``test``, else ``validation``; no fingerprint yet.

    Raises ``HoldfastError`` for rows that cannot be scored, or where there are none with labels.
    """
    for name in ("test", "validation"):
        table = source.tables.get(name)
        if table is None or is_unlabelled(table, source.columns.label, _train_labels(source)):
            continue
        split, warnings = _split(name, table, source)
        if len(set(split.labels or ())) < 2:
            raise HoldfastError(
                f"{table.place}: the rows to score all have the same label, so their score would tell nothing; "
                f"give rows that differ in it"
            )
        names, metrics = source.labels.names, source.metrics
        return Task(source.name, source.labels.kind, {name: split}, names, metrics, "", source.notes, tuple(warnings))
    held = listed(source.tables) if source.tables else "no split"
    raise HoldfastError(
        f"{source.name}: there are no labelled test or validation rows to score (it holds {held}); "
        f"give a file with labelled rows"
    )


def _train_labels(source: Source) -> Sequence[object]:
    train = source.tables.get("train")
    return [] if train is None else train.columns.get(source.columns.label, [])


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
    labels: list[int] | list[float] | None = None
    hidden = name != "train" and is_unlabelled(table, label, _train_labels(source))
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
    """The task with its fingerprint and, where it can be trained on, warnings of overlap between its splits."""
    fingerprint = _fingerprint(task.kind, task.label_names, task.splits)
    overlaps = overlap_warnings(task.splits) if "train" in task.splits else ()
    return replace(task, fingerprint=fingerprint, warnings=(*task.warnings, *overlaps))


def _fingerprint(kind: Kind, names: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256(json.dumps([kind, names]).encode())
    for name in sorted(splits):
        split = splits[name]
        digest.update(json.dumps([name, split.texts, split.pairs, split.labels, split.ids]).encode())
    return digest.hexdigest()

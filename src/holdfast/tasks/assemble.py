"""Tables and what reads them into a checked Task."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.kinds.source import Source
from holdfast.tasks.overlap import overlap_warnings, repeated_rows
from holdfast.tasks.sampling.holdout import hold_out
from holdfast.tasks.table import listed
from holdfast.tasks.task import Origin, Split, Task
from holdfast.tasks.validation import class_gaps

_ORDER = ("train", "validation", "test")


def assemble(source: Source, holdout: float) -> Task:
    """Check the rows, and hold out validation rows where there is no such split; the task has no fingerprint yet.

    Raises ``HoldfastError`` for rows that cannot be trained on.
    """
    reader = source.reader
    kind = reader.kind
    notes, warnings = list(source.notes), []
    splits: dict[str, Split] = {}
    for name, table in source.tables.items():
        hidden = name not in ("train", "validation") and reader.is_unlabelled(table, source.tables["train"])
        split, found = reader.read(table, labelled=not hidden)
        warnings += found
        if split.labels is not None or name == "test":
            splits[name] = split
    train = splits["train"]
    place = source.tables["train"].place
    warnings += reader.check(place, train)
    if kind in ("classification", "regression", "choice"):
        warnings += repeated_rows(source.tables["train"], train, reader.names if kind == "classification" else ())
    if "validation" not in splits:
        rest, held = hold_out(train, holdout, kind, place)
        how = "stratified by class" if kind == "classification" else "at random"
        notes.append(
            f"validation: {len(held)} of {len(train)} training rows held out {how}, as the data have no such split"
        )
        splits = {"train": rest, "validation": held} | {k: v for k, v in splits.items() if k != "train"}
    splits = {name: splits[name] for name in (*_ORDER, *sorted(set(splits) - set(_ORDER))) if name in splits}
    if kind == "classification":
        warnings += class_gaps(splits, reader.names)
    return _task(source, splits, notes, warnings)


def assemble_scored(source: Source) -> Task:
    """Check the rows of the one split that is scored: the labelled ``test``, else ``validation``; no fingerprint yet.

    Raises ``HoldfastError`` for rows that cannot be scored, or where there are none with labels.
    """
    reader = source.reader
    for name in ("test", "validation"):
        table = source.tables.get(name)
        if table is None or reader.is_unlabelled(table, source.tables.get("train")):
            continue
        split, warnings = reader.read(table, labelled=True)
        if len({str(label) for label in split.labels or ()}) < 2:
            raise HoldfastError(
                f"{table.place}: the rows to score all have the same label, so their score would tell nothing; "
                f"give rows that differ in it"
            )
        return _task(replace(source, tables={name: table}), {name: split}, source.notes, warnings)
    held = listed(source.tables) if source.tables else "no split"
    raise HoldfastError(
        f"{source.name}: there are no labelled test or validation rows to score (it holds {held}); "
        f"give a file with labelled rows"
    )


def _task(source: Source, splits: dict[str, Split], notes: Sequence[str], warnings: Sequence[str]) -> Task:
    reader = source.reader
    return Task(
        source.name,
        reader.kind,
        splits,
        reader.names,
        source.metrics,
        "",
        tuple(notes),
        tuple(warnings),
        reader.used,
        source.unused,
        tuple(Origin(table.place, table.lines, len(table)) for table in source.tables.values()),
    )


def finish(task: Task) -> Task:
    """The task with its fingerprint and, where it can be trained on, warnings of overlap between its splits."""
    fingerprint = _fingerprint(task.kind, task.label_names, task.splits)
    overlaps = overlap_warnings(task.splits) if "train" in task.splits else ()
    return replace(task, fingerprint=fingerprint, warnings=(*task.warnings, *overlaps))


def _fingerprint(kind: Kind, names: tuple[str, ...], splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256(json.dumps([kind, names]).encode())
    for name in sorted(splits):
        split = splits[name]
        # Later columns only where there are any, so that studies made before there were such keep their data.
        later = [part for part in (split.words, split.choices, split.references) if part is not None]
        digest.update(json.dumps([name, split.texts, split.pairs, split.labels, split.ids, *later]).encode())
    return digest.hexdigest()

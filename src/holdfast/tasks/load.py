"""From what the user named to a Task: read, choose columns, check, split, fingerprint."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.records.task import TaskSpec
from holdfast.tasks.assemble import assemble, finish
from holdfast.tasks.catalogue import FURTHER_SPLITS, NAMED, UNSUPPORTED
from holdfast.tasks.kinds.answers import ANSWER, accepted
from holdfast.tasks.kinds.columns import choose_columns
from holdfast.tasks.kinds.detect import kind_of, read_other
from holdfast.tasks.kinds.labelled import Labelled
from holdfast.tasks.kinds.labels import check_present, interpret, is_unlabelled, written
from holdfast.tasks.kinds.missing import without_missing
from holdfast.tasks.kinds.several import single_labels
from holdfast.tasks.kinds.source import Source
from holdfast.tasks.named import load_named
from holdfast.tasks.playground import GENERATED, generate_task
from holdfast.tasks.sampling.limit import limit_scored
from holdfast.tasks.sources.hub import load_hub
from holdfast.tasks.sources.local import read_local
from holdfast.tasks.sources.read import READERS, file_type
from holdfast.tasks.table import Table, listed
from holdfast.tasks.task import Task

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[\w.,-]+)?")
_PLAYGROUND = "playground/"
_OPTIONS = {
    "text": "--text",
    "text_pair": "--text-pair",
    "label": "--label",
    "validation": "--validation",
    "test": "--test",
    "kind": "--kind",
    "size": "--size",
    "read": "--read",
}
"""How a message calls each field of TaskSpec that only some sources allow."""


def load_task(spec: TaskSpec, data_dir: Path | None = None) -> Task:
    """Load a task by name, hub id or path; ``data_dir`` defaults to the environment's ``HOLDFAST_DATA``.

    Raises ``HoldfastError`` for anything that cannot be trained on as it is, naming the place and the remedy.
    """
    task = generated_task(spec)
    if task is None:
        task = assemble(read_source(spec, data_dir, training=True), spec.holdout)
    return finish(limit_scored(task, spec.scored_rows))


def generated_task(spec: TaskSpec) -> Task | None:
    """The task that ``spec`` has generated, without a fingerprint yet; None where it names data to read.

    Raises ``HoldfastError`` for options that do not fit.
    """
    if not spec.source.startswith(_PLAYGROUND):
        return None
    _refuse_options(spec, {"size"}, "a generated task")
    return generate_task(spec.source, spec.size)


def read_source(spec: TaskSpec, data_dir: Path | None, *, training: bool) -> Source:
    """Read the tables that ``spec`` names, with their columns and what their labels mean.

    ``training``: there must be a training split; else the other splits will do. Raises ``HoldfastError`` for what
    cannot be found or read.
    """
    source = spec.source
    if not source.strip():
        raise HoldfastError("the task's name or path is empty; give a task, a file or a folder")
    _refuse_options(spec, set(_OPTIONS) - {"size"}, "a task that is not generated")
    if source in UNSUPPORTED:
        raise HoldfastError(f"{source}: {UNSUPPORTED[source]}; 'holdfast tasks' lists those that are")
    if source in NAMED or source in FURTHER_SPLITS:
        _refuse_options(spec, set(), "a named task")
        return _named(source, data_dir, training) if source in NAMED else _further(source, data_dir, training)
    path = Path(source).expanduser()
    if path.exists():
        return _local(path, spec, training)
    generated = difflib.get_close_matches(source, _generated(), n=1, cutoff=0.8)
    if not _HUB_ID.fullmatch(source) or file_type(path) in READERS or source.startswith(".") or generated:
        raise _unknown(source, path)
    _refuse_options(spec, {"text", "text_pair", "label", "kind"}, "a data set of the hub")
    return _hub(source, spec, training)


def _named(name: str, data_dir: Path | None, training: bool) -> Source:
    entry = NAMED[name]
    tables, reader, notes = load_named(entry, data_dir, training)
    return Source(name, tables, reader, entry.metrics, tuple(notes))


def _further(name: str, data_dir: Path | None, training: bool) -> Source:
    home, split = FURTHER_SPLITS[name]
    if training:
        raise HoldfastError(
            f"{name}: there is nothing to train on, it is a split of {home}; train on {home}, "
            f"and to score tuned models on {name} give it to --ood"
        )
    source = _named(home, data_dir, training)
    if split not in source.tables:
        raise HoldfastError(f"{name}: {home} comes without its {split} rows here; add {home}/{split}.jsonl")
    return replace(source, name=name, tables={"validation": source.tables[split]})


def _local(path: Path, spec: TaskSpec, training: bool) -> Source:
    files = read_local(path, spec.validation, spec.test, training, spec.read or Reading())
    tables = {split: single_labels(table) for split, table in files.items()}
    name = path.resolve().name if path.is_dir() else path.stem
    notes: list[str] = []
    if spec.label is None or spec.label.lower() != ANSWER:
        for split, table in tables.items():
            tables[split], remarks = accepted(table, spec.label, spec.read.rejected if spec.read else None)
            notes += remarks
    source = _read_columns(name, tables, spec, editable=True)
    return replace(source, notes=(*notes, *source.notes))


def _hub(source: str, spec: TaskSpec, training: bool) -> Source:
    remedy = "check the name, or connect to the internet (there is no file or folder of that name either)"
    return _read_columns(source, load_hub(source, source, remedy, training), spec, editable=False)


def _read_columns(name: str, tables: dict[str, Table], spec: TaskSpec, editable: bool) -> Source:
    first = next(tables[split] for split in ("train", "validation", "test") if split in tables)
    kind = kind_of(first, spec)
    if kind is not None:
        reader, kind_metrics, remarks = read_other(kind, first, tables, spec, editable)
        notes = [note for table in tables.values() for note in table.notes]
        if editable and kind != "tokens":
            tables, gone = _with_values(tables, reader.used, spec)
            remarks += gone
        return Source(name, tables, reader, kind_metrics, (*notes, *remarks), _unused(first, reader.used))
    if not editable:
        # The hub keeps lists beside what is labelled, and nobody can take them out.
        tables, first = {split: _without_lists(table) for split, table in tables.items()}, _without_lists(first)
    columns = choose_columns(first, spec)
    if columns.label in first.class_names:  # such a column can only hold class numbers, so -1 means "no label"
        tables = {
            split: table
            if split == "test" and is_unlabelled(table, columns.label)
            else table.keep(_labelled(table, columns.label))
            for split, table in tables.items()
        }
    notes = [note for table in tables.values() for note in table.notes]
    notes += columns.notes
    if editable:
        tables, gone = _with_values(tables, columns.used, spec)
        notes += gone
    telling = _telling(tables, columns.label)
    check_present(telling, columns.label)
    labels = interpret(telling, columns.label, spec.kind)
    metrics: tuple[str, ...] = ("pearson", "spearman")
    notes += labels.notes
    if labels.kind == "classification":
        metrics = ("accuracy", "f1" if len(labels.names) == 2 else "macro_f1")
        notes.append(f"classes: {listed(labels.names)}")
        if len(labels.names) == 2:
            notes[-1] += f"; f1 counts {labels.names[1]!r} as the positive one"
    reader = Labelled(columns, labels, editable)
    return Source(name, tables, reader, metrics, tuple(notes), _unused(first, reader.used))


def _with_values(
    tables: dict[str, Table], used: Sequence[tuple[str, str]], spec: TaskSpec
) -> tuple[dict[str, Table], list[str]]:
    """Return the tables as the user wants rows without a text or label treated, and what to tell."""
    choice = None if spec.read is None else spec.read.missing
    complete, notes = {}, []
    for split, table in tables.items():
        # Files of rows to be scored may come without labels.
        hidden = split not in ("train", "validation") and is_unlabelled(table, used[-1][1])
        columns = {column: what for what, column in (used[:-1] if hidden else used)}
        complete[split], gone = without_missing(table, columns, [used[-1][1]], choice)
        notes += gone
    return complete, notes


def _unused(table: Table, used: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(name for name in table.columns if name not in {column for _, column in used})


def _without_lists(table: Table) -> Table:
    return replace(table, columns={name: v for name, v in table.columns.items() if not table.has_lists(name)})


def _telling(tables: dict[str, Table], column: str) -> Table:
    """The table whose labels say which classes there are: the one to train on, else the one to score."""
    if "train" in tables:
        return tables["train"]
    test = tables.get("test")
    if test is None or ("validation" in tables and is_unlabelled(test, column)):
        return tables["validation"]
    return test


def _labelled(table: Table, column: str) -> list[int]:
    values = table.column(column, "all splits but test need the column chosen with --label")
    return [i for i, value in enumerate(values) if written(value) != "-1"]


def _refuse_options(spec: TaskSpec, allowed: set[str], what: str) -> None:
    for field, option in _OPTIONS.items():
        if field not in allowed and getattr(spec, field) is not None:
            raise HoldfastError(f"{spec.source}: {option} does not apply to {what}; leave it out")


def _generated() -> list[str]:
    return [_PLAYGROUND + name for name in GENERATED]


def _unknown(source: str, path: Path) -> HoldfastError:
    neighbours = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    files = [str(path.parent / name) for name in difflib.get_close_matches(path.name, neighbours, n=1)]
    tasks = difflib.get_close_matches(
        source.lower(), [*NAMED, *FURTHER_SPLITS, *UNSUPPORTED, *_generated()], n=1, cutoff=0.5
    )
    is_path = file_type(path) in READERS or source.startswith((".", "~", "/"))
    if is_path or (not tasks and (files or path.suffix or len(path.parts) > 1)):
        hint = f", did you mean {files[0]!r}?" if files else "; check the path"
        return HoldfastError(f"{source}: no such file or folder{hint}")
    hint = f", did you mean {tasks[0]!r}?" if tasks else "."
    return HoldfastError(
        f"{source}: neither a task nor a file{hint} 'holdfast tasks' lists the tasks; a file needs its whole path"
    )

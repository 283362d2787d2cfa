"""From what the user named to a Task: read, choose columns, check, split, fingerprint."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.tasks.assemble import Source, assemble, finish
from holdfast.tasks.catalogue import NAMED, UNSUPPORTED
from holdfast.tasks.columns import Columns, choose_columns
from holdfast.tasks.hub import load_hub
from holdfast.tasks.labels import check_present, interpret, written
from holdfast.tasks.local import read_local
from holdfast.tasks.named import PAIR, TEXT, load_named
from holdfast.tasks.playground import GENERATED, generate_task
from holdfast.tasks.read import READERS
from holdfast.tasks.spec import TaskSpec
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
}
"""How a message calls each field of TaskSpec that only some sources allow."""


def load_task(spec: TaskSpec, data_dir: Path | None = None) -> Task:
    """Load a task by name, hub id or path; ``data_dir`` defaults to the environment's ``HOLDFAST_DATA``.

    Raises ``HoldfastError`` for anything that cannot be trained on as it is, naming the place and the remedy.
    """
    source = spec.source
    if not source.strip():
        raise HoldfastError("the task's name or path is empty; give a task, a file or a folder")
    if source.startswith(_PLAYGROUND):
        _refuse_options(spec, {"size"}, "a generated task")
        return finish(generate_task(source, spec.size))
    _refuse_options(spec, set(_OPTIONS) - {"size"}, "a task that is not generated")
    if source in UNSUPPORTED:
        raise HoldfastError(f"{source}: {UNSUPPORTED[source]}; 'holdfast tasks' lists those that are")
    if source in NAMED:
        _refuse_options(spec, set(), "a named task")
        return assemble(_named(source, data_dir), spec.holdout)
    path = Path(source).expanduser()
    if path.exists():
        return assemble(_local(path, spec), spec.holdout)
    generated = difflib.get_close_matches(source, _generated(), n=1, cutoff=0.8)
    if not _HUB_ID.fullmatch(source) or path.suffix.lower() in READERS or source.startswith(".") or generated:
        raise _unknown(source, path)
    _refuse_options(spec, {"text", "text_pair", "label", "kind"}, "a data set of the hub")
    return assemble(_hub(source, spec), spec.holdout)


def _named(name: str, data_dir: Path | None) -> Source:
    entry = NAMED[name]
    tables, labels, notes = load_named(entry, data_dir)
    columns = Columns(TEXT, PAIR if entry.pair is not None else None, entry.label)
    return Source(name, tables, columns, labels, entry.metrics, tuple(notes), editable=False)


def _local(path: Path, spec: TaskSpec) -> Source:
    tables = read_local(path, spec.validation, spec.test)
    name = path.resolve().name if path.is_dir() else path.stem
    return _read_columns(name, tables, spec, editable=True)


def _hub(source: str, spec: TaskSpec) -> Source:
    remedy = "check the name, or connect to the internet (there is no file or folder of that name either)"
    return _read_columns(source, load_hub(source, source, remedy), spec, editable=False)


def _read_columns(name: str, tables: dict[str, Table], spec: TaskSpec, editable: bool) -> Source:
    columns = choose_columns(tables["train"], spec)
    declared = columns.label in tables["train"].class_names
    if declared:  # such a column can only hold class numbers, so -1 means "no label"
        tables = {
            split: table if split == "test" else table.keep(_labelled(table, columns.label))
            for split, table in tables.items()
        }
    check_present(tables["train"], columns.label)
    labels = interpret(tables["train"], columns.label, spec.kind)
    metrics: tuple[str, ...] = ("pearson", "spearman")
    notes = [note for table in tables.values() for note in table.notes]
    notes += [*columns.notes, *labels.notes]
    if labels.kind == "classification":
        metrics = ("accuracy", "f1" if len(labels.names) == 2 else "macro_f1")
        notes.append(f"classes: {listed(labels.names)}")
        if len(labels.names) == 2:
            notes[-1] += f"; f1 counts {labels.names[1]!r} as the positive one"
    return Source(name, tables, columns, labels, metrics, tuple(notes), editable)


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
    beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
    files = [str(path.parent / name) for name in difflib.get_close_matches(path.name, beside, n=1)]
    tasks = difflib.get_close_matches(source.lower(), [*NAMED, *UNSUPPORTED, *_generated()], n=1, cutoff=0.5)
    is_path = path.suffix.lower() in READERS or source.startswith((".", "~", "/"))
    if is_path or (not tasks and (files or path.suffix or len(path.parts) > 1)):
        hint = f", did you mean {files[0]!r}?" if files else "; check the path"
        return HoldfastError(f"{source}: no such file or folder{hint}")
    hint = f", did you mean {tasks[0]!r}?" if tasks else "."
    return HoldfastError(
        f"{source}: neither a task nor a file{hint} 'holdfast tasks' lists the tasks; a file needs its whole path"
    )

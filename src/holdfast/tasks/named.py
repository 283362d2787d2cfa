"""Named tasks: from the data folder first, else from the hub."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.tasks.catalogue import Entry, Template
from holdfast.tasks.kinds.columns import Columns
from holdfast.tasks.kinds.labelled import Labelled
from holdfast.tasks.kinds.labels import Labels, written
from holdfast.tasks.kinds.multiple_choice import MultipleChoice
from holdfast.tasks.kinds.source import Reader
from holdfast.tasks.kinds.tagged import Tagged
from holdfast.tasks.kinds.text_to_text import TextToText
from holdfast.tasks.sources.hub import load_hub
from holdfast.tasks.sources.read import read_table
from holdfast.tasks.table import Table

TEXT, PAIR = "text", "text pair"
"""Columns that named tasks' texts are put into."""

_REMEDY = "'holdfast tasks' lists the columns that a named task needs"


def data_folder(data_dir: Path | None) -> Path | None:
    """The folder to look for named tasks in: the one given, else ``HOLDFAST_DATA``, else none.

    Raises ``HoldfastError`` when it is not a folder.
    """
    option = "--data-dir"
    if data_dir is None:
        option, value = "HOLDFAST_DATA", os.environ.get("HOLDFAST_DATA", "")
        if not value:
            return None
        data_dir = Path(value)
    data_dir = data_dir.expanduser()
    if not data_dir.is_dir():
        raise HoldfastError(f"{option} {data_dir}: no such folder; give the folder that holds <task>/<split>.jsonl")
    return data_dir


def load_named(entry: Entry, data_dir: Path | None, training: bool) -> tuple[dict[str, Table], Reader, list[str]]:
    """Return the tables, what reads them, and notes.

    Without ``training`` the training rows are left out, and need not be there. Raises ``HoldfastError`` when neither
    the folder nor the hub serves the task.
    """
    folder = data_folder(data_dir)
    home = None if folder is None else folder / entry.name
    if home is not None and home.is_dir():
        tables = _read_folder(entry.name, home, training)
        notes = [f"data: {home}"]
    else:
        tables = _from_hub(entry, folder, training)
        notes = [f"data: {entry.hub} from the hub"]
    reader, prepared = _reader(entry), {}
    for split, table in tables.items():
        hidden = split == "test" and reader.is_unlabelled(table, None)
        labelled = table if hidden else _labelled_rows(table, entry)
        if len(labelled) < len(table):
            notes.append(f"{split}: {len(table) - len(labelled)} rows without a label left out")
        prepared[split] = _with_texts(labelled, entry)
    return prepared, reader, notes


def _read_folder(name: str, home: Path, training: bool) -> dict[str, Table]:
    files = {file.stem: file for file in sorted(home.glob("*.jsonl"))}
    held = ", ".join(file.name for file in files.values()) or "no .jsonl file"
    if training and "train" not in files:
        scored = "; to score tuned models on it, give it to --ood" if files else ""
        raise HoldfastError(f"{name}: {home} has no train.jsonl to train on (it holds {held}); add one{scored}")
    if not training:
        files.pop("train", None)
        if not files:
            raise HoldfastError(
                f"{name}: {home} has no test.jsonl or validation.jsonl to score (it holds {held}); add one"
            )
    return {split: read_table(file) for split, file in files.items()}


def _from_hub(entry: Entry, folder: Path | None, training: bool) -> dict[str, Table]:
    wanted = f"{entry.name}/{'train' if training else 'test'}.jsonl"
    if entry.hub is None:
        place = f"{folder} has none" if folder is not None else "no folder is set"
        raise HoldfastError(
            f"{entry.name}: comes only from a local folder and {place}; "
            f"set --data-dir or HOLDFAST_DATA to a folder that holds {wanted}"
        )
    remedy = f"set --data-dir or HOLDFAST_DATA to a folder that holds {wanted}, or connect to the internet"
    tables = load_hub(entry.hub, entry.name, remedy, training)
    if not training:
        tables.pop("train", None)
    for table in tables.values():
        for theirs, ours in entry.renamed.items():
            if theirs in table.columns:
                table.columns[ours] = table.columns.pop(theirs)
    return tables


def _labelled_rows(table: Table, entry: Entry) -> Table:
    """Without the rows labelled -1: in SNLI, pairs that annotators did not agree on."""
    values = table.column(entry.label, _REMEDY)
    if entry.kind not in ("classification", "choice"):
        return table
    return table.keep([i for i, value in enumerate(values) if written(value) != "-1"])


def _labels(entry: Entry) -> Labels:
    index = {str(i): i for i in range(len(entry.labels))}
    index |= {name: i for i, name in enumerate(entry.labels)}
    index |= {alias: index[name] for alias, name in entry.aliases.items()}
    return Labels("classification" if entry.kind == "classification" else "regression", entry.labels, index)


def _reader(entry: Entry) -> Reader:
    if entry.kind == "generation":
        return TextToText(TEXT, entry.label, editable=False)
    if entry.kind == "tokens":
        return Tagged(entry.columns[0], entry.label, entry.labels)
    if entry.kind == "choice":
        return MultipleChoice(TEXT, entry.choices, entry.label, editable=False)
    columns = Columns(TEXT, PAIR if entry.pair is not None else None, entry.label)
    return Labelled(columns, _labels(entry), editable=False)


def _with_texts(table: Table, entry: Entry) -> Table:
    for name in entry.columns:
        table.column(name, _REMEDY)
    if entry.kind == "tokens":
        return table
    columns = dict(table.columns)
    columns[TEXT] = _filled(table, entry, entry.text)
    if entry.pair is not None:
        columns[PAIR] = _filled(table, entry, entry.pair)
    return replace(table, columns=columns)


def _filled(table: Table, entry: Entry, template: Template) -> list[object]:
    source = {f"{{{name}}}": name for name in entry.columns}
    if isinstance(template, str) and template in source:
        return list(table.columns[source[template]])
    texts: list[object] = []
    for i in range(len(table)):
        row = {name: table.columns[name][i] for name in entry.columns}
        try:
            if None in row.values():
                raise ValueError("a value is missing")
            texts.append(template(row) if callable(template) else template.format_map(row))
        except (ValueError, IndexError) as error:
            raise HoldfastError(
                f"{table.place}: {table.where([i])}: no text can be built from {', '.join(entry.columns)} ({error}); "
                f"correct the row"
            ) from error
    return texts

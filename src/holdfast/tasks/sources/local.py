"""Files of a local task into a table for each split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.records.reading import Reading
from holdfast.tasks.sources.conll import named_alike
from holdfast.tasks.sources.folder import shards_of, split_files, used_and_left
from holdfast.tasks.sources.read import READERS, read_table
from holdfast.tasks.table import Table, listed


def read_local(
    path: Path, validation: str | None, test: str | None, training: bool, reading: Reading
) -> dict[str, Table]:
    """Read a file as the training split, or a folder's files as splits; then the extra files given.

    Without ``training`` a file that stands alone is the test split. Raises ``HoldfastError`` for a folder without
    the files needed or with two files for one split.
    """
    alone = not training and validation is None and test is None
    files = split_files(path, training, alone) if path.is_dir() else {"test" if alone else "train": [path]}
    for split, extra in (("validation", validation), ("test", test)):
        if extra is None:
            continue
        file = Path(extra).expanduser()
        if not file.is_file():
            raise HoldfastError(f"--{split} {extra}: no such file; give a {', '.join(READERS)} file")
        files[split] = [file]
    tables = {split: _joined([read_table(file, reading) for file in shards]) for split, shards in files.items()}
    first = next(iter(tables))
    tables = {split: named_alike(tables[first], table) for split, table in tables.items()}
    notes = [used_and_left(files)] if path.is_dir() else []
    if path.is_file() and shards_of(path) > 1:
        notes.append(f"{path}: one of {shards_of(path)} shards; give the folder to read all")
    tables[first] = replace(tables[first], notes=(*notes, *tables[first].notes))
    return tables


def _joined(shards: Sequence[Table]) -> Table:
    """Return the rows of all shards in their order, counted through. Raises ``HoldfastError`` where columns differ."""
    first = shards[0]
    if len(shards) == 1:
        return first
    for shard in shards[1:]:
        if shard.columns.keys() != first.columns.keys():
            raise HoldfastError(
                f"{shard.place}: its columns are {listed(shard.columns)} and those of {first.place} "
                f"{listed(first.columns)}; write all shards with the same columns"
            )
    columns = {name: [value for shard in shards for value in shard.columns[name]] for name in first.columns}
    rows = list(range(1, sum(map(len, shards)) + 1))
    place = f"{first.place} and {len(shards) - 1} more"
    notes = tuple(note for shard in shards for note in shard.notes)
    lines = [shard.lines for shard in shards]
    return Table(place, columns, rows, "row", notes, lines=None if None in lines else sum(n or 0 for n in lines))

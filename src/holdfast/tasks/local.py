"""Files of a local task: which file is which split."""

from __future__ import annotations

from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.tasks.columns import LABELS, SINGLES
from holdfast.tasks.conll import named_alike
from holdfast.tasks.read import READERS, read_table
from holdfast.tasks.several import single_labels
from holdfast.tasks.table import Table, listed
from holdfast.tasks.tagged import WORDS, has_lists

STEMS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
"""File names, without ending, of each split in a folder."""


def read_local(path: Path, validation: str | None, test: str | None, training: bool) -> dict[str, Table]:
    """Read a file as the training split, or a folder's files as splits; then the extra files given.

    Without ``training`` a file that stands alone is the test split. Raises ``HoldfastError`` for a folder without
    the files needed or with two files for one split.
    """
    alone = not training and validation is None and test is None
    files = _in_folder(path, training, alone) if path.is_dir() else {"test" if alone else "train": path}
    for split, extra in (("validation", validation), ("test", test)):
        if extra is None:
            continue
        file = Path(extra).expanduser()
        if not file.is_file():
            raise HoldfastError(f"--{split} {extra}: no such file; give a {', '.join(READERS)} file")
        files[split] = file
    tables = {split: read_table(file) for split, file in files.items()}
    first = next(iter(tables.values()))
    return {split: _with_labels(named_alike(first, table)) for split, table in tables.items()}


def _with_labels(table: Table) -> Table:
    """Return the rows with lists of one label read as that label, unless they belong to lists of words."""
    if any(has_lists(table, name) for name in table.columns if name.lower() in (*WORDS, *SINGLES)):
        return table
    return single_labels(table, [name for name in table.columns if name.lower() in LABELS])


def _in_folder(folder: Path, training: bool, alone: bool) -> dict[str, Path]:
    candidates = sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in READERS)
    files = {}
    for split, stems in STEMS.items():
        found = [file for file in candidates if file.stem.lower() in stems]
        if len(found) > 1:
            raise HoldfastError(
                f"{folder}: {listed(file.name for file in found)} could each be the {split} split; keep one of them"
            )
        if found:
            files[split] = found[0]
    held = f"only {listed(file.name for file in candidates)}" if candidates else "no data file at all"
    if training and "train" not in files:
        scored = " (to score tuned models on it, give it to --ood)" if files else ""
        raise HoldfastError(
            f"{folder}: there is no train file in this folder, {held}; "
            f"give a file, or a folder with train{{{','.join(READERS)}}}{scored}"
        )
    if alone and not files.keys() & {"validation", "test"}:
        raise HoldfastError(
            f"{folder}: there is no test or validation file to score in this folder, {held}; "
            f"give a file, or a folder with test{{{','.join(READERS)}}}"
        )
    return files

"""Which file of a folder is which split, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.tasks.sources.read import READERS, file_type, other_type
from holdfast.tasks.table import listed

STEMS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "validate", "dev", "development", "devel", "eval", "evaluation"),
    "test": ("test", "testing"),
}
"""What people call each split."""

_MATCHED, _MISMATCHED = "_matched", "mismatched"
"""What MNLI calls its first and second validation and test splits."""

_SHARD = re.compile(r"(.+)[-_.](\d+)-of-(\d+)(?:-[0-9a-f]{8,})?")
_ENDINGS = f"{{{','.join(READERS)}}}"


def split_files(folder: Path, training: bool, alone: bool) -> dict[str, list[Path]]:
    """Return the files of each split, several where it is in shards.

    Files are splits by their whole names (``eval.csv``); where none is, by a part (``sst2_train.tsv``). Where that
    fails too, the folder's ``data`` is looked into, as the hub lays data sets out. ``training``: there must be a file
    to train on; ``alone``: one to score. Raises ``HoldfastError`` where there is none, where several could be it, and
    where shards are missing.
    """
    data = [file for file in _files(folder) if file_type(file) in READERS]
    files = _by_name(folder, data, whole=True) or _by_name(folder, data, whole=False)
    if not files and (folder / "data").is_dir():
        return split_files(folder / "data", training, alone)
    if training and "train" not in files:
        raise HoldfastError(_nothing(folder, ["train"], bool(files)))
    if alone and not files.keys() & {"validation", "test"}:
        raise HoldfastError(_nothing(folder, ["test", "validation"], False))
    return files


def used_and_left(files: Mapping[str, Sequence[Path]]) -> str:
    """Say which files are which split, and what else their folder holds."""
    folder = next(iter(files.values()))[0].parent
    notes = [f"{split} {listed(file.name for file in shards)}" for split, shards in files.items()]
    used = {file for shards in files.values() for file in shards}
    left = [file.name for file in _files(folder) if file not in used]
    return f"{folder}: {'; '.join(notes)}" + (f"; left out {listed(left)}" if left else "")


def shards_of(file: Path) -> int:
    """Return of how many files one is a part, by its name: 2 for ``train-00000-of-00002.csv``, 1 for others."""
    shard = _shard(file)
    return int(shard[3]) if shard else 1


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _by_name(folder: Path, data: Sequence[Path], whole: bool) -> dict[str, list[Path]]:
    by_split = {}
    for split, stems in STEMS.items():
        sets: dict[tuple[str, str], list[Path]] = {}
        for file in data:
            stem = _stem(file)
            if stem.removesuffix(_MATCHED) in stems if whole else _part(stem) == split:
                sets.setdefault((stem, file_type(file)), []).append(file)
        if len(sets) > 1:
            raise _several(folder, split, [file for files in sets.values() for file in files])
        for files in sets.values():
            by_split[split] = _complete(folder, split, files)
    return by_split


def _stem(file: Path) -> str:
    """The name without its endings and its shard's number, in lower case."""
    shard = _shard(file)
    return shard[1] if shard else _bare(file)


def _shard(file: Path) -> re.Match[str] | None:
    return _SHARD.fullmatch(_bare(file))


def _bare(file: Path) -> str:
    return file.name.lower().removesuffix(".gz").removesuffix(file_type(file))


def _part(stem: str) -> str | None:
    """The only split that a part of a name names: train for ``sst2_train-v2``, none for ``train_dev``."""
    words = re.findall("[a-z]+", stem)
    named = [split for split, stems in STEMS.items() if not set(words).isdisjoint(stems)]
    return named[0] if len(named) == 1 and _MISMATCHED not in words else None


def _complete(folder: Path, split: str, files: Sequence[Path]) -> list[Path]:
    """Return shards in the order of their numbers. Raises ``HoldfastError`` naming those that are missing."""
    shards = [(shard, file) for file in files if (shard := _shard(file))]
    if not shards and len(files) == 1:
        return list(files)
    numbered = {int(shard[2]): file for shard, file in shards}
    counts = {int(shard[3]) for shard, _ in shards}
    if len(numbered) < len(files) or len(counts) > 1:
        raise _several(folder, split, files)
    (count,) = counts
    wanted = range(1, count + 1) if count in numbered else range(count)
    shard, file = shards[0]
    start, end = shard.span(2)
    names = {i: f"{file.name[:start]}{i:0{end - start}}{file.name[end:]}" for i in wanted if i not in numbered}
    if names:
        raise HoldfastError(f"{folder}: of {count} shards {listed(names.values())} are missing; add them")
    return [numbered[i] for i in wanted]


def _several(folder: Path, split: str, files: Sequence[Path]) -> HoldfastError:
    return HoldfastError(
        f"{folder}: {listed(file.name for file in files)} could each be the {split} split; keep one of them"
    )


def _nothing(folder: Path, splits: Sequence[str], others: bool) -> str:
    """Say what a folder lacks, and what it holds instead."""
    files = _files(folder)
    for file in files:
        if file_type(file) not in READERS and any(file.stem.lower() in STEMS[split] for split in splits):
            return other_type(file)
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return (
            f"{folder}: this is what Dataset.save_to_disk writes; write each split with to_parquet instead, such as "
            f"load_from_disk(...)['train'].to_parquet('train.parquet')"
        )
    held = f"only {listed(file.name for file in files)}" if files else "no data file at all"
    below = sorted(place.name for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    held += f", and the folders {listed(below)}" if below else ""
    purpose = "" if splits[0] == "train" else " to score"
    scored = " (to score tuned models on it, give it to --ood)" if others else ""
    return (
        f"{folder}: there is no {' or '.join(splits)} file{purpose} in this folder, {held}; "
        f"give a file, or a folder with {splits[0]}{_ENDINGS}{scored}"
    )

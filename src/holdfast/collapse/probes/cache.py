"""Features on disk, found again by what they were made of.

One entry is one layer of one model on the rows of one split, four bytes a number: 10 000 rows of width 768 take 31 MB.
Nothing is ever removed but what is damaged: the folder ``features`` may be deleted at any time, which empties it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from holdfast.collapse.probes.features import Features, chosen_layers
from holdfast.tasks.task import Split

FORMAT = 1
"""Raised when features are made in another way, so that old ones are not found."""

_DATA, _FACTS = "features.npy", "entry.json"
_PARTIAL = ".partial-"
_FORGOTTEN = 24 * 3600
"""Seconds after which a folder that a process did not finish is what a killed one left."""
_WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "pytorch_model*.bin.index.json")
_WORDS = ("*.txt", "*.model", "*token*.json", "vocab*.json", "*.spm", "*.bpe", "*.codes", "*.tiktoken")
_READ = (*_WEIGHTS, "config.json", "adapter_config.json", "*.py", *_WORDS)
"""Files that what a checkpoint makes of a text depends on; its training state and its README are not among them."""


def default_cache() -> Path:
    """Return the folder of Holdfast's cache: HOLDFAST_CACHE, else XDG_CACHE_HOME/holdfast, else ~/.cache/holdfast."""
    if own := os.environ.get("HOLDFAST_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "holdfast"


def model_digest(folder: Path) -> str:
    """Return the SHA-256 (hex) of a checkpoint's weights, configuration, tokenizer and code, names included.

    Reads all weights: about a second a gigabyte.
    """
    digest = hashlib.sha256()
    for file in sorted({file for pattern in _READ for file in folder.glob(pattern) if file.is_file()}):
        digest.update(f"{file.name}\0{_content(file)}\n".encode())
    return digest.hexdigest()


def rows_digest(split: Split) -> str:
    """Return the SHA-256 (hex) of a split's texts, in order; labels and row names make no difference."""
    digest = hashlib.sha256()
    pairs: Sequence[str | None] = split.pairs if split.pairs is not None else [None] * len(split)
    for text, pair in zip(split.texts, pairs, strict=True):
        digest.update(json.dumps([text, pair]).encode() + b"\n")
    return digest.hexdigest()


Extract = Callable[[Sequence[int] | Literal["all"], Path], Features]
"""Extracts features of these layers into this folder."""


@dataclass(frozen=True)
class Source:
    """What features are made of, apart from the layer and the release of Transformers."""

    model: str
    """``model_digest``."""
    rows: str
    """``rows_digest``."""
    pooling: str
    max_length: int

    def key(self, layer: int) -> str:
        """Return the name of an entry, 32 hex digits; ``layer`` is counted from 0."""
        made_by = version("transformers")
        text = json.dumps([FORMAT, made_by, self.model, self.rows, self.pooling, self.max_length, layer])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class FeatureCache:
    """Entries in a folder, written whole or not at all; several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "features"

    def features(self, source: Source, layers: Sequence[int] | Literal["all"], extract: Extract) -> Features:
        """Return the features of these layers, of which ``extract`` makes those that are not here.

        Raises ``HoldfastError`` for a layer that does not exist.
        """
        count = self.layer_count(source.model)
        files: dict[int, Path] = {}
        missing = layers
        if count is not None:
            wanted = chosen_layers(layers, count)
            files = {layer: file for layer in wanted if (file := self.find(source, layer)) is not None}
            missing = [layer for layer in wanted if layer not in files]
        if count is None or missing:
            with self.room() as room:
                made = extract(missing, room)
                files |= {layer: self.keep(source, layer, file) for layer, file in made.files.items()}
            count = made.count
            self.keep_layer_count(source.model, count)
        return Features(dict(sorted(files.items())), count)

    def find(self, source: Source, layer: int) -> Path | None:
        """Return the file of an entry, once its content was checked; None where there is none, or a damaged one."""
        entry = self.folder / source.key(layer)
        try:
            facts = json.loads((entry / _FACTS).read_text(encoding="utf-8"))
            content = _content(entry / _DATA)
        except (OSError, ValueError):
            return None
        return entry / _DATA if isinstance(facts, dict) and facts.get("content") == content else None

    def keep(self, source: Source, layer: int, file: Path) -> Path:
        """Move ``file``, which lies in a folder of ``room``, into the entry, and return where it then is."""
        entry = self.folder / source.key(layer)
        facts = {"content": _content(file), "layer": layer, **vars(source)}
        # The whole entry takes its place at once, so that nobody finds half of it.
        whole = file.parent / entry.name
        whole.mkdir()
        os.replace(file, whole / _DATA)
        (whole / _FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        _sync(whole / _DATA, whole / _FACTS)
        try:
            os.rename(whole, entry)
        except OSError:
            # Another process was first, with the same features; or what is there is damaged.
            if self.find(source, layer) is None:
                with suppress(OSError):
                    os.rename(entry, file.parent / f"{entry.name}-damaged")
                try:
                    os.rename(whole, entry)
                except OSError:
                    # Another process has just mended it.
                    if self.find(source, layer) is None:
                        raise
        return entry / _DATA

    def layer_count(self, model: str) -> int | None:
        """Return how many layers the model of this digest has; None where that was never found out."""
        try:
            count = json.loads((self.folder / f"{model[:32]}.json").read_text(encoding="utf-8"))["layers"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return count if isinstance(count, int) and count > 0 else None

    def keep_layer_count(self, model: str, count: int) -> None:
        """Remember how many layers the model of this digest has."""
        with self.room() as room:
            (room / "layers.json").write_text(json.dumps({"layers": count}), encoding="utf-8")
            os.replace(room / "layers.json", self.folder / f"{model[:32]}.json")

    @contextmanager
    def room(self) -> Iterator[Path]:
        """Give an empty folder beside the entries, gone when the block ends; also those that killed processes left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f"{_PARTIAL}*"):
            if _last_touched(left) < time.time() - _FORGOTTEN:
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=self.folder) as room:
            yield Path(room)


def _content(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _last_touched(folder: Path) -> float:
    try:
        return max(file.stat().st_mtime for file in (folder, *folder.rglob("*")))
    except OSError:
        # Another process is about to remove it.
        return time.time()


def _sync(*files: Path) -> None:
    for file in files:
        with file.open("rb+") as held:
            os.fsync(held.fileno())

"""Distances between runs' representations that were measured before: the slow part of a report."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

import holdfast
from holdfast.records.summary import LayerInstability
from holdfast.study.store.atomic import write_text


class _Held(BaseModel):
    model_config = ConfigDict(extra="forbid")

    holdfast: str
    """Version that measured."""
    layers: dict[str, list[LayerInstability]]


class MeasuredLayers:
    """What ``layers.json`` in a study's folder holds, by the runs' files. All of it can be measured again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "layers.json"
        self._held: dict[str, list[LayerInstability]] = {}
        self._used: dict[str, list[LayerInstability]] = {}
        try:
            held = _Held.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            # Nothing is lost but the time to measure again.
            return
        if held.holdfast == holdfast.__version__:
            self._held = held.layers

    def get(self, files: Sequence[Path]) -> list[LayerInstability] | None:
        """Return the distances between ``files``, one a run, None where they, or one of them, are new."""
        return self._held.get(_key(files))

    def put(self, files: Sequence[Path], layers: list[LayerInstability]) -> None:
        """Keep the distances between ``files``, where there are any."""
        if layers:
            self._used[_key(files)] = layers

    def save(self) -> None:
        """Write what was put; nothing stays of files that have changed."""
        if self._used != self._held:
            held = _Held(holdfast=holdfast.__version__, layers=self._used)
            write_text(self._path, held.model_dump_json() + "\n")


def _key(files: Sequence[Path]) -> str:
    marks = [(file.parent.name, state.st_size, state.st_mtime_ns) for file in files for state in [file.stat()]]
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:16]

"""Files written the way users write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast.records.task import TaskSpec
from holdfast.tasks.load import load_task
from holdfast.tasks.task import Split, Task

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write text, bytes or a list of JSON objects to a file below a fresh folder."""

    def _write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


@pytest.fixture
def load(write: Write) -> Callable[..., Task]:
    """Write one file and load it as a task."""

    def _load(content: Any, name: str = "tickets.csv", **options: Any) -> Task:
        return load_task(TaskSpec(source=str(write(name, content)), **options))

    return _load


def spam(rows: int) -> list[dict[str, Any]]:
    """Balanced rows with a text and a label."""
    return [{"text": f"message number {i}", "label": ("ham", "spam")[i % 2]} for i in range(rows)]


def everything(task: Task) -> list[tuple[str, str | None, float]]:
    """Text, second text and label of every labelled row, over all splits."""
    return [row for split in task.splits.values() for row in rows_of(split)]


def rows_of(split: Split) -> list[tuple[str, str | None, float]]:
    pairs = split.pairs or [None] * len(split)
    assert split.labels is not None
    return list(zip(split.texts, pairs, split.labels, strict=True))

"""What ``holdfast tasks`` lists."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.records.task import Kind
from holdfast.tasks.catalogue import NAMED
from holdfast.tasks.playground import GENERATED


@dataclass(frozen=True)
class TaskInfo:
    """A task that can be given by name, without loading it."""

    name: str
    description: str
    kind: Kind
    columns: tuple[str, ...]
    """Columns of its data that the texts are built from."""
    labels: tuple[str, ...]
    """Class names in the order of their indices; empty for regression."""
    metrics: tuple[str, ...]
    """The primary one first."""
    hub: str | None
    """``org/name:config`` on the hub; None where it is generated or only read from a local folder."""


def available() -> list[TaskInfo]:
    """The named and the generated tasks, in the order to list them in."""
    generated = [
        TaskInfo(f"playground/{name}", g.description, "classification", g.columns, g.labels, g.metrics, None)
        for name, g in GENERATED.items()
    ]
    named = [
        TaskInfo(entry.name, entry.description, entry.kind, entry.columns, entry.labels, entry.metrics, entry.hub)
        for entry in NAMED.values()
    ]
    return [*generated, *named]

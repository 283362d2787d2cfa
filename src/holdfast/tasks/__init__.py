"""Data in: catalogue, loading, validation, metrics, generated tasks."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.tasks.evaluation import load_evaluation
    from holdfast.tasks.listing import TaskInfo, available
    from holdfast.tasks.load import load_task
    from holdfast.tasks.mapping import LabelMap, map_labels, metrics_of
    from holdfast.tasks.metrics import compute, constant_score
    from holdfast.tasks.overlap import overlapping
    from holdfast.tasks.spec import OodSpec, TaskSpec
    from holdfast.tasks.subset import draw_subset
    from holdfast.tasks.task import Split, Task

__all__ = [
    "LabelMap",
    "OodSpec",
    "Split",
    "Task",
    "TaskInfo",
    "TaskSpec",
    "available",
    "compute",
    "constant_score",
    "draw_subset",
    "load_evaluation",
    "load_task",
    "map_labels",
    "metrics_of",
    "overlapping",
]

_HOMES = {
    "LabelMap": "mapping",
    "OodSpec": "spec",
    "Split": "task",
    "Task": "task",
    "TaskInfo": "listing",
    "TaskSpec": "spec",
    "available": "listing",
    "compute": "metrics",
    "constant_score": "metrics",
    "draw_subset": "subset",
    "load_evaluation": "evaluation",
    "load_task": "load",
    "map_labels": "mapping",
    "metrics_of": "mapping",
    "overlapping": "overlap",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: importing this package must not pull in torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

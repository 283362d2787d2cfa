"""Many runs: the grid, the store, executors, statistics."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.study.compare import Comparison, compare_runs
    from holdfast.study.store import Store
    from holdfast.study.study_file import StudyFile

_HOMES = {
    "Comparison": "holdfast.study.compare",
    "Store": "holdfast.study.store",
    "StudyFile": "holdfast.study.study_file",
    "compare_runs": "holdfast.study.compare",
}

__all__ = ["Comparison", "Store", "StudyFile", "compare_runs"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast.study' has no attribute {name!r}")

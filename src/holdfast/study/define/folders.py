"""Where results go where nobody says."""

import re
from collections.abc import Sequence
from pathlib import Path


def default_out(study_file: Path | None, tasks: Sequence[str]) -> Path:
    """Return where results go by default: the folder that a study file was written to, else one by name."""
    if study_file is None:
        return Path("holdfast-runs", "-".join(map(folder_name, tasks))[:100])
    if study_file.with_name("tasks.json").exists():
        return study_file.parent
    return Path("holdfast-runs", study_file.stem)


def folder_name(task: str) -> str:
    """Return a task's name such that it can be a folder's on every system."""
    return re.sub(r"[^\w.-]+", "-", task).strip(".-") or "task"

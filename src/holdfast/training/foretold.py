"""What is known of a run before it begins, and told."""

from collections.abc import Mapping

from holdfast.tasks.task import Split, Task
from holdfast.tasks.unknown import unknown_told
from holdfast.training.forms import form_of
from holdfast.training.models import load_tokenizer
from holdfast.training.spec import RunSpec


def load_notes(run: RunSpec, task: Task) -> list[str]:
    """Return what the user should know of how the model is fitted to the task: what becomes of a head of its own."""
    return form_of(run, task).notes()


def reading(run: RunSpec, task: Task, splits: Mapping[str, Split]) -> tuple[list[str], list[str]]:
    """Return notes and warnings of what the model's tokenizer cannot see of ``splits`` of ``task``."""
    return unknown_told(splits, load_tokenizer(run.model, run.revision, run.remote_code), task.kind)

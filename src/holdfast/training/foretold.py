"""What is known of a run before it begins, and told."""

from holdfast.tasks.task import Task
from holdfast.training.forms import form_of
from holdfast.training.spec import RunSpec


def load_notes(run: RunSpec, task: Task) -> list[str]:
    """Return what the user should know of how the model is fitted to the task: what becomes of a head of its own."""
    return form_of(run, task).notes()

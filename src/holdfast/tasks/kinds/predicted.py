"""What a model of each kind of task predicts, in a sentence."""

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.task import Task

PREDICTED: dict[Kind, str] = {
    "classification": "classes",
    "regression": "a number",
    "tokens": "classes of words",
    "choice": "one of several choices",
    "generation": "a text",
}


def check_labels_rows(task: Task, why: str) -> None:
    """Raise ``HoldfastError``, saying ``why``, unless ``task`` asks for a class or a number a row."""
    if not task.labels_rows:
        raise HoldfastError(f"{task.name}: it asks for {PREDICTED[task.kind]}, and {why}")

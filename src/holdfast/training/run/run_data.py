"""The rows of a run as its model takes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.methods.base import Method
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.task import Split, Task
from holdfast.training.run.rows import training_rows
from holdfast.training.task_models import TaskModel


@dataclass(frozen=True)
class RunData:
    """The rows of a run as its model takes them."""

    task: Task
    splits: dict[str, Split]
    """The task's, with the training rows of the run."""
    encoded: dict[str, EncodedSplit]
    """Of each labelled split."""
    truncated: dict[str, int]
    """Rows of each that were cut."""
    choosing: tuple[EncodedSplit, Split] | None
    """What the best epoch, or a method, is chosen by; None where nothing is."""

    @property
    def best_epoch(self) -> bool:
        """Whether the best epoch is scored: not where the validation rows, which choose it, are what is scored."""
        return self.task.scored_split != "validation"


def encode_run(task_model: TaskModel, tokenizer: Any, methods: Sequence[Method]) -> RunData:
    """Return the rows of a run. Raises ``HoldfastError`` as ``training_rows`` and ``TaskModel.encode`` do."""
    task = task_model.task
    splits = dict(task.splits)
    splits["train"], held_out = training_rows(task_model.spec, task, methods)
    encoded, truncated = {}, {}
    for name, split in splits.items():
        if split.labels is not None:
            encoded[name], truncated[name] = task_model.encode(split, tokenizer, training=name == "train")
    choosing = None
    if held_out is not None:
        choosing = task_model.encode(held_out, tokenizer, training=False)[0], held_out
    elif task.scored_split != "validation":
        choosing = encoded["validation"], splits["validation"]
    return RunData(task, splits, encoded, truncated, choosing)

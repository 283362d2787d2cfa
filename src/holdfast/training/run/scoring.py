"""What a tuned model scores: on its task's splits, and as it is on other tasks."""

from dataclasses import dataclass, replace
from typing import Any

from transformers import Trainer

from holdfast.records.run import OtherTask
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.scoring.mapping import aligned, map_labels, metrics_of
from holdfast.tasks.task import Task
from holdfast.training.run.rows import RunData
from holdfast.training.task_models import TaskModel
from holdfast.training.task_models.base import Outputs

Scores = dict[str, float | None]
"""By metric; None where undefined."""


@dataclass(frozen=True)
class Predictor:
    """A tuned model that predicts and is scored."""

    trainer: Trainer
    task_model: TaskModel
    tokenizer: Any

    def outputs(self, rows: EncodedSplit) -> Outputs:
        """Return what the model predicts for ``rows``."""
        return self.task_model.read(self.trainer.predict(rows), self.tokenizer)

    def score(self, data: RunData, name: str) -> Scores:
        """Return the scores on the split ``name``."""
        return self.task_model.score(self.outputs(data.encoded[name]), data.splits[name], data.task.metrics)

    def score_other(self, target: OtherTask, other: Task) -> Scores:
        """Return the scores on the scored split of another task, with its labels mapped as ``target`` says."""
        task_model = self.task_model
        mapped = map_labels(task_model.task, other, target.labels)
        other = aligned(task_model.task, other)
        split = other.splits[other.scored_split]
        if mapped is None:
            rows, _ = task_model.encode(split, self.tokenizer, training=False)
            return task_model.score(self.outputs(rows), split, metrics_of(mapped, other))
        # Without its labels: the model's loss would read them as classes of its own.
        rows, _ = task_model.encode(replace(split, labels=None), self.tokenizer, training=False)
        labelled = replace(split, labels=mapped.labels(split.classes))
        return task_model.score(mapped.outputs(self.outputs(rows)), labelled, metrics_of(mapped, other))

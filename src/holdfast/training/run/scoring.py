"""What a tuned model scores: on its task's splits, and as it is on other tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Subset
from transformers import Trainer

from holdfast.records.run import OtherTask
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.scoring.mapping import aligned, map_labels, metrics_of
from holdfast.tasks.task import Task
from holdfast.training.models.pass_states import PassStates
from holdfast.training.run.rows import RunData, by_length
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
        order = by_length(rows)
        with torch.inference_mode():
            prediction = self.trainer.predict(Subset(rows, order))
        inverse = np.argsort(order)
        restored = {name: _taken(getattr(prediction, name), inverse) for name in ("predictions", "label_ids")}
        return self.task_model.read(prediction._replace(**restored), self.tokenizer)

    def outputs_and_states(self, rows: EncodedSplit, kept: Sequence[int]) -> tuple[Outputs, NDArray[np.float32] | None]:
        """Return what the model predicts, and hidden states of the rows at ``kept``, (layers, rows, width)."""
        model, task_model = cast(nn.Module, self.trainer.model), self.task_model
        if task_model.pooling is None:
            outputs = self.outputs(rows)
            return outputs, task_model.states(model, self.trainer.get_test_dataloader(Subset(rows, list(kept))))
        place = {row: at for at, row in enumerate(by_length(rows))}
        passed = [place[row] for row in kept]
        with PassStates(model, passed, task_model.pooling) as recorded:
            outputs = self.outputs(rows)
        states = recorded.states()
        if states is None:
            return outputs, None
        # They came in the order of the passes.
        order = np.argsort(np.argsort(passed))
        return outputs, task_model.states_of_rows(states)[:, order]

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


def _taken(values: Any, order: NDArray[Any]) -> Any:
    """Return arrays, alone or in tuples, with their rows in ``order``."""
    if isinstance(values, tuple):
        return tuple(_taken(one, order) for one in values)
    return values if values is None else values[order]

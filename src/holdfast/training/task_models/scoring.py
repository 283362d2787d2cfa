"""What models that score classes, or a number, have in common."""

from collections.abc import Mapping
from typing import Any

from transformers import Trainer, TrainingArguments

from holdfast.training.models.kept_head import fate_of_head, load_with_head
from holdfast.training.models.loading import model_config, name_classes
from holdfast.training.task_models.base import TaskModel, on_one_gpu


def only_logits(outputs: Any, labels: Any) -> Any:
    """Return the logits among a model's outputs: encoder-decoders return hidden states beside them."""
    return outputs[0] if isinstance(outputs, tuple) else outputs


class Scorer(TaskModel):
    """A model with a head of its own for the task, trained by a plain ``Trainer``."""

    def config(self) -> Any:  # noqa: D102
        config = model_config(self.spec.source)
        # The checkpoint's own problem type must not meet the new classes: some pairs are refused.
        config.problem_type = None
        name_classes(config, self.task.label_names)
        return config

    def load(self) -> Any:
        """Return the model as ``TaskModel.load`` does, with its own head where that is one of the task's classes."""
        return load_with_head(self.auto_class, self.spec.source, self.config())

    def notes(self) -> list[str]:
        """Return what becomes of the model's own head, where it has one."""
        fate = fate_of_head(self.auto_class, self.spec.source, self.config())
        return [fate.note] if fate is not None and fate.note else []

    def trainer(self, arguments: Mapping[str, Any], **parts: Any) -> Trainer:  # noqa: D102
        collator = self.collator(parts.pop("processing_class"), parts["model"])
        return Trainer(
            args=on_one_gpu(TrainingArguments(**arguments)),
            data_collator=collator,
            preprocess_logits_for_metrics=only_logits,
            **parts,
        )

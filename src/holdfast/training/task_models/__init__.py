"""What a run does differently for each kind of task, and which model a task gets."""

from holdfast.errors import HoldfastError
from holdfast.records.run import RunSpec
from holdfast.tasks.task import Task
from holdfast.training.models.loading import model_config
from holdfast.training.task_models.base import TaskModel

__all__ = ["TaskModel", "task_model_of"]


def task_model_of(spec: RunSpec, task: Task) -> TaskModel:
    """Return the model for ``task`` that ``spec`` asks for. Raises ``HoldfastError`` where they do not fit."""
    # Each file loads the parts of Transformers that it needs.
    if spec.seq2seq_from_encoder and task.kind != "generation":
        raise HoldfastError(
            f"--seq2seq-from-encoder: {task.name} asks for no text to be written; give the encoder as --model"
        )
    if task.labels_rows:
        from holdfast.training.task_models.classifier import Classifier

        return Classifier(spec, task)
    if task.kind == "tokens":
        from holdfast.training.task_models.token_classifier import TokenClassifier

        return TokenClassifier(spec, task)
    if task.kind == "choice":
        from holdfast.training.task_models.multiple_choice import MultipleChoice

        return MultipleChoice(spec, task)
    if spec.seq2seq_from_encoder:
        from holdfast.training.task_models.encoder_decoder import EncoderDecoder

        return EncoderDecoder(spec, task)
    if getattr(model_config(spec.source), "is_encoder_decoder", False):
        from holdfast.training.task_models.seq2seq import Seq2Seq

        return Seq2Seq(spec, task)
    from holdfast.training.task_models.causal_lm import CausalLM

    return CausalLM(spec, task)

"""What a run does differently for each kind of task, and which form a task has."""

from holdfast.errors import HoldfastError
from holdfast.records.run import RunSpec
from holdfast.tasks.task import Task
from holdfast.training.models.loading import model_config
from holdfast.training.task_models.base import Form

__all__ = ["Form", "form_of"]


def form_of(spec: RunSpec, task: Task) -> Form:
    """Return the form of ``task`` for the model of ``spec``. Raises ``HoldfastError`` where they do not fit."""
    # Each file loads the parts of Transformers that it needs.
    if spec.seq2seq_from_encoder and task.kind != "generation":
        raise HoldfastError(
            f"--seq2seq-from-encoder: {task.name} asks for no text to be written; give the encoder as --model"
        )
    if task.labels_rows:
        from holdfast.training.task_models.classifier import Classifier

        return Classifier(spec, task)
    if task.kind == "tokens":
        from holdfast.training.task_models.token_classifier import Tagger

        return Tagger(spec, task)
    if task.kind == "choice":
        from holdfast.training.task_models.multiple_choice import Chooser

        return Chooser(spec, task)
    if spec.seq2seq_from_encoder:
        from holdfast.training.task_models.encoder_decoder import EncoderPair

        return EncoderPair(spec, task)
    if getattr(model_config(spec.source), "is_encoder_decoder", False):
        from holdfast.training.task_models.seq2seq import Rewriter

        return Rewriter(spec, task)
    from holdfast.training.task_models.causal_lm import Continuer

    return Continuer(spec, task)

"""What a run does differently for each kind of task, and which form a task has."""

from holdfast.errors import HoldfastError
from holdfast.tasks.task import Task
from holdfast.training.forms.base import Form
from holdfast.training.models import model_config
from holdfast.training.spec import RunSpec

__all__ = ["Form", "form_of"]


def form_of(spec: RunSpec, task: Task) -> Form:
    """Return the form of ``task`` for the model of ``spec``. Raises ``HoldfastError`` where they do not fit."""
    # Each file loads the parts of Transformers that it needs.
    if spec.seq2seq_from_encoder and task.kind != "generation":
        raise HoldfastError(
            f"--seq2seq-from-encoder: {task.name} asks for no text to be written; give the encoder as --model"
        )
    if task.labels_rows:
        from holdfast.training.forms.classifier import Classifier

        return Classifier(spec, task)
    if task.kind == "tokens":
        from holdfast.training.forms.tagger import Tagger

        return Tagger(spec, task)
    if task.kind == "choice":
        from holdfast.training.forms.chooser import Chooser

        return Chooser(spec, task)
    if spec.seq2seq_from_encoder:
        from holdfast.training.forms.encoder_pair import EncoderPair

        return EncoderPair(spec, task)
    if getattr(model_config(spec.model, spec.revision, spec.remote_code), "is_encoder_decoder", False):
        from holdfast.training.forms.rewriter import Rewriter

        return Rewriter(spec, task)
    from holdfast.training.forms.continuer import Continuer

    return Continuer(spec, task)

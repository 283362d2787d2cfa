"""What the Trainer's ``compute_loss`` gets in place of the model: it runs the views along and gives clean outputs."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Step
from holdfast.training.objective import Objective, Pass


class StandIn:
    """Stands in for ``call``, the model or what wraps it, during one ``compute_loss``.

    A subclass may call it several times (for metrics, say): methods act on the first call with gradient.
    """

    def __init__(self, call: nn.Module, objective: Objective, step: Step, labels: Tensor) -> None:
        self._call = call
        self._objective = objective
        self._step = step
        self._labels = labels
        self._found: Pass | None = None
        self.fused = False
        """Whether the caller asked for TRL's fused output layer, and makes the loss of what that gives."""

    @property
    def result(self) -> Pass:
        """The outputs of the model's copies; raises ``HoldfastError`` when the model was not called."""
        if self._found is None:
            raise HoldfastError(
                "compute_loss of this trainer does not call the model it is given: "
                "call model(**inputs) in it, methods act on that call"
            )
        return self._found

    def __call__(self, *args: Any, **batch: Any) -> Any:
        """Return the clean outputs for ``batch``, the model's keyword arguments."""
        if args:
            raise HoldfastError(
                "compute_loss of this trainer passes the model's inputs by position: pass them by name, model(**inputs)"
            )
        if self._found is not None or not torch.is_grad_enabled():
            return self._call(**batch)
        fused = batch.get("fused_lm_head", False) and self._objective.needs_head
        if fused:
            batch = {key: value for key, value in batch.items() if key not in ("fused_lm_head", "labels")}
        self._found, self.fused = self._objective.run(self._call, batch, self._step, self._labels), fused
        return fused_outputs(self._found.outputs, self._labels) if fused else self._found.outputs

    def __getattr__(self, name: str) -> Any:
        # Subclasses ask for the configuration and the device, TRL for the class's own attributes.
        return getattr(self._objective.model, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # The Trainer shifts the labels by the type it finds inside an adapter model.
        return type(self._objective.model)


def fused_outputs(outputs: Mapping[str, Any], labels: Tensor) -> SimpleNamespace:
    """Return what TRL's fused output layer gives for causal language models, from the logits in ``outputs``.

    The fused layer makes no logits, and methods compare them. ``log_probs`` of the next token, ``entropy``,
    ``is_top1`` and ``label_mask`` have the shape (rows, tokens - 1) and are 0 where there is no label.
    """
    logp = outputs["logits"][:, :-1].float().log_softmax(-1)
    targets = labels[:, 1:]
    mask = targets != -100
    chosen = logp.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)
    with torch.no_grad():
        entropy = -(logp.exp() * logp).sum(-1)
        top = logp.argmax(-1) == targets
    return SimpleNamespace(
        log_probs=chosen * mask,
        entropy=entropy * mask,
        is_top1=top & mask,
        label_mask=mask,
        aux_loss=outputs.get("aux_loss"),
    )

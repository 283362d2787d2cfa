"""What the Trainer's ``compute_loss`` gets in place of the model: it runs the views along and gives clean outputs."""

import contextlib
import inspect
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Step
from holdfast.training.forward.objective import Objective, Pass
from holdfast.training.trainer.item_counts import Uses


class Caller:
    """Stands in for ``call``, the model or what wraps it, during one ``compute_loss``, and notes what it is given.

    ``uses`` is to note only what happens outside of the model.
    """

    def __init__(self, call: nn.Module, model: nn.Module, uses: Uses | None) -> None:
        self._call = call
        self._model = model
        self._uses = uses
        self.given: Mapping[str, Any] | None = None
        """The arguments of the first call with gradient, by name; None before."""

    def __call__(self, *args: Any, **batch: Any) -> Any:
        """Return the model's outputs."""
        if self.given is None and torch.is_grad_enabled():
            self.given = {**dict(zip(self._names(), args, strict=False)), **batch}
        with contextlib.nullcontext() if self._uses is None else self._uses.paused():
            return self._call(*args, **batch)

    def _names(self) -> list[str]:
        """Return the names of the model's arguments by position."""
        signature = inspect.signature(self._model.forward)
        return [name for name, one in signature.parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]

    def __getattr__(self, name: str) -> Any:
        # Subclasses ask for the configuration and the device, or for what is inside of DDP; TRL for the class's own.
        found = self._model if hasattr(self._model, name) else self._call
        return getattr(found, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # The Trainer shifts the labels by the type it finds inside an adapter model.
        return type(self._model)


class StandIn(Caller):
    """Runs the views along, and gives clean outputs.

    A subclass may call it several times (for metrics, say): methods act on the first call with gradient.
    """

    def __init__(
        self, call: nn.Module, objective: Objective, step: Step, labels: Tensor | None, uses: Uses | None = None
    ) -> None:
        super().__init__(call, objective.model, uses)
        self._objective = objective
        self._step = step
        self._labels = labels
        self._found: Pass | None = None
        self.batch: Mapping[str, Any] = {}
        """What methods acted on: the model's keyword arguments, labels included."""
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
        """Return the clean outputs for ``batch``, the model's arguments."""
        if self._found is not None or not torch.is_grad_enabled():
            return super().__call__(*args, **batch)
        names = self._names() if args else []
        if len(args) > len(names):
            raise HoldfastError(
                "compute_loss of this trainer passes the model's inputs by position, and "
                f"{type(self._model).__name__} does not name them: pass them by name, model(**inputs)"
            )
        named = self.given = {**dict(zip(names, args, strict=False)), **batch}
        self.fused = bool(named.get("fused_lm_head", False) and self._objective.compares)
        if self.fused:
            named = {key: value for key, value in named.items() if key not in ("fused_lm_head", "labels")}
        self.batch = {**named, **({} if self._labels is None else {"labels": self._labels})}
        with contextlib.nullcontext() if self._uses is None else self._uses.paused():
            self._found = self._objective.run(self._call, named, self._step, self._labels)
        if self.fused:
            assert self._labels is not None
            return fused_outputs(self._found.outputs, self._labels)
        return self._found.returned


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

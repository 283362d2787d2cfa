"""A training with SIFT: the increments, and the weights that they change."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.model.freezing import new_head, restore_flags, train_only
from holdfast.methods.sift.increments import Increment
from holdfast.methods.sift.method import SIFT

_IGNORED = "_ddp_params_and_buffers_to_ignore"
"""Where DistributedDataParallel looks for names of parameters that are none of its business."""


class SIFTSession(MethodSession[SIFT]):
    """The increments, and what the model was like before."""

    def __init__(self, method: SIFT, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        weights = method.weights(model)
        self._flags = train_only(model, [*weights.values(), *new_head(model, method.name).values()])
        # DDP averages gradients after the hooks of its weights ran.
        alone = not (torch.distributed.is_available() and torch.distributed.is_initialized())
        self.increments: dict[str, Increment] = {}
        """By name of the weight."""
        for name, weight in weights.items():
            owner, _, attribute = name.rpartition(".")
            module = model.get_submodule(owner)
            self.increments[name] = Increment(module, attribute, method.count(weight), method.decay, alone)
        self._ignored_before: Any = getattr(model, _IGNORED, None)
        # They get their gradient past autograd, and DDP would wait for it.
        setattr(model, _IGNORED, [*(self._ignored_before or ()), *self._vector_names()])

    def on_gradients(self, step: Step) -> None:
        """Choose the entries at the first step; hand gradients that are still dense to the vectors."""
        for increment in self.increments.values():
            increment.gather()

    def after_step(self, step: Step) -> None:
        """Add the vectors to the weights."""
        for increment in self.increments.values():
            increment.merge()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the chosen places of each weight, and how many weights have some."""
        places = {name: part.chosen for name, part in self.increments.items() if part.chosen is not None}
        return {**places, "chosen": torch.tensor(len(places))}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the places; the weights hold the increments already."""
        for name, increment in self.increments.items():
            if name in state:
                increment.choose(state[name])

    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Leave out the vectors, which the weights contain."""
        vectors = set(self._vector_names())
        return {name: value for name, value in state.items() if name not in vectors}

    def finish(self) -> Mapping[str, float]:
        """Remove the vectors and unfreeze what was frozen here."""
        for increment in self.increments.values():
            increment.remove()
        restore_flags(self._flags)
        if self._ignored_before is not None:
            setattr(self.model, _IGNORED, self._ignored_before)
        elif hasattr(self.model, _IGNORED):
            delattr(self.model, _IGNORED)
        return {}

    def _vector_names(self) -> list[str]:
        return [f"{name}_increment" for name in self.increments]

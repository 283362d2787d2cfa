"""One training of a child network: its choice, and the gradients and weights outside it."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import MethodSession, Plan, TrainingData
from holdfast.methods.child_tuning_d.fisher import single_rows, squared_gradients
from holdfast.methods.child_tuning_d.method import ChildTuningD
from holdfast.methods.forward import Step
from holdfast.methods.parts.top_k import top_k_masks


class ChildTuningDSession(MethodSession[ChildTuningD]):
    """The mask of the child network, and the values of what is frozen hard."""

    def __init__(self, method: ChildTuningD, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.child: dict[str, Tensor] = {}
        """True for the weights that are trained, by parameter name; empty before the data were looked at."""
        self.initial: dict[str, Tensor] = {}
        """The values that the weights began with, from the first step on, where the others do not move at all."""

    def calibrate(self, data: TrainingData) -> None:
        """Sum squared gradients over the training data and keep the mask."""
        # Else the mask would depend on what drew random numbers before.
        torch.manual_seed(self.plan.seed)
        by_batch = self.method.fisher == "batch"
        weights = self.method.layer_weights(self.model)
        self.model.train(by_batch)
        losses = (data.loss(batch) for batch in self._batches(data))
        sums = squared_gradients(list(weights.values()), losses, 1.0 if by_batch else None, self.method.name)
        count = max(1, round(self.method.keep * sum(total.numel() for total in sums)))
        self.child = dict(zip(weights, top_k_masks(sums, count), strict=True))

    @torch.no_grad()
    def on_clipped_gradients(self, step: Step) -> None:
        """Zero the gradients outside the child network."""
        if not self.child:
            raise HoldfastError(
                f"{self.method.name} has no mask: the state it was resumed from holds none, start the training anew"
            )
        weights = dict(self.model.named_parameters())
        if self.method.freeze == "hard" and not self.initial:
            # What is frozen has the values it began with, after a resumption too.
            self.initial = {name: weights[name].detach().clone() for name in self.child}
        for name in self.child:
            gradient = weights[name].grad
            if gradient is not None:
                # Several times faster than with booleans.
                gradient.mul_(self._mask(name, gradient.device).view(torch.uint8))

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Put hard-frozen weights back."""
        if self.method.freeze == "gradient":
            return
        weights = dict(self.model.named_parameters())
        for name, initial in self.initial.items():
            frozen = self._mask(name, initial.device).logical_not()
            # Exact at both ends, and much faster than a choice under an irregular mask.
            weights[name].lerp_(initial, frozen.to(initial.dtype))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the mask."""
        return dict(self.child)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the mask."""
        self.child = dict(state)
        self.initial = {}

    def _batches(self, data: TrainingData) -> Iterator[Mapping[str, Any]]:
        batches = islice(data.batches(), self.method.max_batches)
        return batches if self.method.fisher == "batch" else single_rows(batches)

    def _mask(self, name: str, device: torch.device) -> Tensor:
        if self.child[name].device != device:
            self.child[name] = self.child[name].to(device)
        return self.child[name]

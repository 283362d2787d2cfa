"""Child-Tuning D: the weights that matter most for the task, found once and trained alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, Step, TrainingData
from holdfast.methods.child_tuning_d.fisher import single_rows, squared_gradients
from holdfast.methods.parts.model.freezing import BODY
from holdfast.methods.parts.model.layers import layer_stacks
from holdfast.methods.parts.model.matrices import GRADIENTS
from holdfast.methods.parts.padding import TEXTS
from holdfast.methods.parts.top_k import top_k_masks


@dataclass(frozen=True)
class ChildTuningD(Method):
    """Child-Tuning, task-driven (Xu et al. 2021, equations 5 and 6, and its published trainer).

    One pass over the training data, before training, sums squared gradients. Of all weights of the transformer
    layers, biases and normalisation included, the ``keep`` share with the largest sums is the child network;
    the gradients of the others are zero in the whole training, after clipping and without rescaling.
    Embeddings, pooler and head are always trained.

    The default sums squares of the batch's gradient as the published code does, which differs from the paper's
    formula: ``fisher="example"``. The published code compares with a percentile, here exactly the share is kept;
    it ignores its own warm-up setting, and computes the mask anew when a training is resumed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), ChildTuningD(keep=0.2)).train()
        >>> holdfast.methods.describe([ChildTuningD(keep=0.2)])  # as commands spell it
        'child_tuning_d(keep=0.2)'
    """

    name: ClassVar[str] = "child_tuning_d"
    summary: ClassVar[str] = "trains the weights with the largest Fisher information on the task"

    keep: float = 0.3
    """Share of the layers' weights that is trained. The paper's p_D, the published code's reserve_p."""
    fisher: Literal["batch", "example"] = "batch"
    """"batch": the gradient of each batch, dropout on, each tensor's clipped to norm 1, squared. "example": the
    gradient of each row, dropout off, squared; it takes as many backward passes as there are rows."""
    freeze: Literal["gradient", "hard"] = "gradient"
    """Other weights get no gradient, but weight decay still shrinks them, as published; or do not move at all."""
    max_batches: int | None = None
    """Batches of training data to look at, a process; none looks at all."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise HoldfastError(
                f"{self.name}(keep={self.keep}): keep is a share of the weights, use 0 < keep <= 1, such as 0.3"
            )
        if self.max_batches is not None and self.max_batches < 1:
            raise HoldfastError(f"{self.name}(max_batches={self.max_batches}): use at least 1, or none for all batches")

    @property
    def uses(self) -> frozenset[str]:
        """The body's weights, and the gradients of whole matrices; texts, where each has a gradient of its own."""
        return frozenset({BODY, GRADIENTS} | ({TEXTS} if self.fisher == "example" else set()))

    @property
    def needs_whole_pass(self) -> bool:
        """Whether all batches are looked at."""
        return self.max_batches is None

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model has no transformer layers, or trains none of their weights."""
        layer_weights(model, self.name)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights of the transformer layers, among which the child network is chosen."""
        chosen = layer_weights(model, self.name)
        state = 0
        for weight in chosen.values():
            copy = weight.element_size() if self.freeze == "hard" else 0
            # The float32 sums are gone when training begins.
            state += weight.numel() * (1 + max(4, copy))
        return Selection(chosen, f"the {100 * self.keep:g} % with the largest Fisher information trained", state)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Note the seed."""
        self.memory["seed"] = plan.seed

    def measure(self, model: nn.Module, data: TrainingData) -> None:
        """Sum squared gradients over the training data and keep the mask."""
        # Else the mask would depend on what drew random numbers before.
        torch.manual_seed(self.memory["seed"])
        weights = layer_weights(model, self.name)
        model.train(self.fisher == "batch")
        losses = (data.loss(batch) for batch in self._batches(data))
        sums = squared_gradients(list(weights.values()), losses, 1.0 if self.fisher == "batch" else None, self.name)
        count = max(1, round(self.keep * sum(total.numel() for total in sums)))
        self.memory["child"] = dict(zip(weights, top_k_masks(sums, count), strict=True))

    @torch.no_grad()
    def on_clipped_gradients(self, step: Step) -> None:
        """Zero the gradients outside the child network."""
        weights = dict(step.model.named_parameters())
        if self.freeze == "hard" and "initial" not in self.memory:
            # What is frozen has the values it began with, after a resumption too.
            self.memory["initial"] = {name: weights[name].detach().clone() for name in self._child()}
        for name, mask in self._child().items():
            gradient = weights[name].grad
            if gradient is not None:
                # Several times faster than with booleans.
                gradient.mul_(self._on(gradient.device, name, mask).view(torch.uint8))

    @torch.no_grad()
    def on_update(self, step: Step) -> None:
        """Put hard-frozen weights back."""
        if self.freeze == "gradient":
            return
        weights = dict(step.model.named_parameters())
        for name, mask in self._child().items():
            initial = self.memory["initial"][name]
            frozen = self._on(initial.device, name, mask).logical_not()
            # Exact at both ends, and much faster than a choice under an irregular mask.
            weights[name].lerp_(initial, frozen.to(initial.dtype))

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The mask."""
        return dict(self.memory.get("child", {}))

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the mask."""
        self.memory["child"] = dict(state)
        self.memory.pop("initial", None)

    def finish(self, model: nn.Module) -> None:
        """Free the mask and the copies."""
        self.memory.pop("child", None)
        self.memory.pop("initial", None)

    def _batches(self, data: TrainingData) -> Iterator[Mapping[str, Any]]:
        batches = islice(data.batches(), self.max_batches)
        return batches if self.fisher == "batch" else single_rows(batches)

    def _child(self) -> dict[str, Tensor]:
        child: dict[str, Tensor] | None = self.memory.get("child")
        if not child:
            raise HoldfastError(
                f"{self.name} has no mask: the state it was resumed from holds none, start the training anew"
            )
        return child

    def _on(self, device: torch.device, name: str, mask: Tensor) -> Tensor:
        if mask.device != device:
            mask = self._child()[name] = mask.to(device)
        return mask


def layer_weights(model: nn.Module, method: str) -> dict[str, nn.Parameter]:
    """Return the trained parameters of all transformer blocks by name, shared ones once.

    Raises ``HoldfastError``, naming ``method``, where there are none.
    """
    inside = {id(p) for stack in layer_stacks(model, method) for _, block in stack for p in block.parameters()}
    found = {name: p for name, p in model.named_parameters() if id(p) in inside and p.requires_grad}
    if not found:
        raise HoldfastError(
            f"{method} chooses among the weights of the transformer layers, and {type(model).__name__} trains none: "
            "leave requires_grad of some of them true"
        )
    return found

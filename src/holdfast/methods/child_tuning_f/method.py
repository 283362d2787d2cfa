"""Child-Tuning F: at each step, a random part of every gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, Step
from holdfast.methods.child_tuning_f.bernoulli import (
    SMALLEST,
    BernoulliBuffers,
    buffer_bytes,
    keep_at_random_,
    keep_rows_at_random_,
)
from holdfast.methods.parts.rng import own_generator


@dataclass(frozen=True)
class ChildTuningF(Method):
    """Child-Tuning, task-free (Xu et al. 2021, Algorithm 1 and its published optimizer).

    At each optimizer step every entry of every gradient, those of embeddings, biases, normalisation and head
    included, is kept with probability ``keep`` and divided by it, else set to zero. It happens after clipping,
    right before the optimizer, which goes on decaying weights and moving them by momentum.

    Under Adam the division changes nothing: it cancels between the two moments. The mean step is about
    sqrt(``keep``) of a plain one, because the second moment grows by 1 / ``keep``.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), ChildTuningF(keep=0.2)).train()
        >>> holdfast.methods.describe([ChildTuningF(keep=0.2)])  # as commands spell it
        'child_tuning_f(keep=0.2)'
    """

    name: ClassVar[str] = "child_tuning_f"
    summary: ClassVar[str] = "each step uses a random part of every gradient"

    keep: float = 0.3
    """Probability with which an entry of a gradient is kept, to a 65 536th. The paper's p_F."""
    rescale: bool = True
    """Divide what is kept by ``keep``, so that the gradient is right on average. Under Adam it makes no
    difference; under SGD, false is a smaller learning rate."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise HoldfastError(f"{self.name}(keep={self.keep}): keep is a probability, use 0 < keep <= 1, such as 0.3")
        if self.keep < SMALLEST:
            raise HoldfastError(
                f"{self.name}(keep={self.keep}): keep is met to a 65 536th, and less than one would train next to "
                "nothing: use a larger one, such as 0.3"
            )

    def selection(self, model: nn.Module) -> Selection:
        """Return all trained weights."""
        chosen = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        doing = f"a random {100 * self.keep:g} % of the gradient used at each step"
        return Selection(chosen, doing, buffer_bytes(list(chosen.values())))

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Note the seed."""
        self.memory["seed"] = plan.seed

    @torch.no_grad()
    def on_clipped_gradients(self, step: Step) -> None:
        """Keep a random part of each gradient."""
        if self.keep == 1:
            return
        tables = {id(module.weight) for module in step.model.modules() if isinstance(module, nn.Embedding)}
        dense: dict[torch.device, list[Tensor]] = {}
        sparse: list[Tensor] = []
        for weight in step.model.parameters():
            gradient = weight.grad
            if gradient is not None:
                by_rows = id(weight) in tables and gradient.device.type == "cpu"
                (sparse if by_rows else dense.setdefault(gradient.device, [])).append(gradient)
        scale = 1 / self.keep if self.rescale else 1.0
        # A generator a step: what it draws depends on the seed and the step alone, on resumption too.
        seed, stream = self.memory["seed"], f"{self.name} {step.index}"
        for device, gradients in dense.items():
            generator = own_generator(stream, seed, device)
            keep_at_random_(gradients, self.keep, scale, self._buffers(step.model, device), generator)
        generator = own_generator(f"{stream} embeddings", seed)
        for gradient in sparse:
            keep_rows_at_random_(gradient, self.keep, scale, self._buffers(step.model, gradient.device), generator)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The seed, from which all draws follow."""
        return {"seed": torch.tensor(self.memory["seed"])}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the seed."""
        self.memory["seed"] = int(state["seed"])

    def finish(self, model: nn.Module) -> None:
        """Free the buffers."""
        self.memory.pop("buffers", None)

    def _buffers(self, model: nn.Module, device: torch.device) -> BernoulliBuffers:
        buffers: dict[torch.device, BernoulliBuffers] = self.memory.setdefault("buffers", {})
        if device not in buffers:
            trained = [weight for weight in model.parameters() if weight.requires_grad]
            buffers[device] = BernoulliBuffers(trained, device)
        return buffers[device]

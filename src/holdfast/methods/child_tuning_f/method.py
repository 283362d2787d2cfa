"""Child-Tuning F: at each step, a random part of every gradient."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.child_tuning_f.bernoulli import (
    SMALLEST,
    BernoulliBuffers,
    buffer_bytes,
    keep_at_random_,
    keep_rows_at_random_,
)
from holdfast.methods.forward import Step
from holdfast.methods.parts.rng import own_generator
from holdfast.methods.requires import Footprint, Requires


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

    @property
    def requires(self) -> Requires:
        """Gradients as the optimizer will read them."""
        return Requires(gradients=True)

    def check(self, model: nn.Module) -> Footprint:
        """Return all trained weights; the state is the working memory of the draws."""
        weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        action = f"a random {100 * self.keep:g} % of the gradient used at each step"
        return Footprint(weights, action, buffer_bytes(list(weights.values())))

    def start(self, model: nn.Module, plan: Plan) -> "ChildTuningFSession":
        """Leave the model as it is."""
        return ChildTuningFSession(self, model, plan)


class ChildTuningFSession(MethodSession[ChildTuningF]):
    """The seed from which all draws follow, and their working memory."""

    def __init__(self, method: ChildTuningF, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.seed = plan.seed
        self.buffers: dict[torch.device, BernoulliBuffers] = {}

    @torch.no_grad()
    def on_clipped_gradients(self, step: Step) -> None:
        """Keep a random part of each gradient."""
        keep = self.method.keep
        if keep == 1:
            return
        tables = {id(module.weight) for module in self.model.modules() if isinstance(module, nn.Embedding)}
        dense: dict[torch.device, list[Tensor]] = {}
        sparse: list[Tensor] = []
        for weight in self.model.parameters():
            gradient = weight.grad
            if gradient is not None:
                by_rows = id(weight) in tables and gradient.device.type == "cpu"
                (sparse if by_rows else dense.setdefault(gradient.device, [])).append(gradient)
        scale = 1 / keep if self.method.rescale else 1.0
        # A generator a step: what it draws depends on the seed and the step alone, on resumption too.
        stream = f"{self.method.name} {step.index}"
        for device, gradients in dense.items():
            generator = own_generator(stream, self.seed, device)
            keep_at_random_(gradients, keep, scale, self._buffers_on(device), generator)
        generator = own_generator(f"{stream} embeddings", self.seed)
        for gradient in sparse:
            keep_rows_at_random_(gradient, keep, scale, self._buffers_on(gradient.device), generator)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the seed."""
        return {"seed": torch.tensor(self.seed)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the seed."""
        self.seed = int(state["seed"])

    def _buffers_on(self, device: torch.device) -> BernoulliBuffers:
        if device not in self.buffers:
            trained = [weight for weight in self.model.parameters() if weight.requires_grad]
            self.buffers[device] = BernoulliBuffers(trained, device)
        return self.buffers[device]

"""L2-SP: an L2 penalty around the pre-trained weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Selection, Step
from holdfast.methods.parts.anchored import HoldsPretrained
from holdfast.methods.parts.model.freezing import MATRICES
from holdfast.methods.parts.model.pretrained import Pretrained, add_differences
from holdfast.methods.parts.param_groups import by_group, check_stable


@dataclass(frozen=True)
class L2SP(HoldsPretrained):
    """L2 with the starting point as reference (Li, Grandvalet & Davoine 2018).

    The loss gains alpha/2 * |w - w0|^2 over the pre-trained weights and beta/2 * |w|^2 over the new ones of the
    head. Its gradient is added to the whole gradient before clipping, which is the same and exact under
    accumulation; the logged loss is without it. An adaptive optimizer rescales it with the rest: with
    ``decoupled`` the weights themselves are pulled after the step, w -= lr * alpha * (w - w0).

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), L2SP(alpha=0.05)).train()
        >>> holdfast.methods.describe([L2SP(alpha=0.05)])  # as commands spell it
        'l2_sp(alpha=0.05)'
    """

    name: ClassVar[str] = "l2_sp"
    summary: ClassVar[str] = "L2 penalty around the pre-trained weights"

    alpha: float = 0.1
    """Pull to the pre-trained weights, of the published script; its flags' default is 0.01."""
    beta: float = 0.01
    """Pull of the head's weights to zero; 0 leaves that to the optimizer's weight decay."""
    biases: bool = False
    """Include biases and normalisation, which the published code leaves free."""
    decoupled: bool = False
    """Pull after the optimizer's step, as AdamW decays, and not through the gradient."""

    def __post_init__(self) -> None:
        for field in ("alpha", "beta"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise HoldfastError(f"{self.name}({field}={value!r}): {field} must be a number of at least 0")

    @property
    def uses(self) -> frozenset[str]:
        """Weight matrices, where nothing else is pulled."""
        return frozenset(() if self.biases else {MATRICES})

    def held(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled."""
        return Pretrained(model, self.name, self.biases)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights that are pulled; the pre-trained ones are kept a second time."""
        kept = self.held(model)
        new = {name: parameter for name, parameter in kept.new.items() if parameter.requires_grad and self.beta}
        doing = "pre-trained weights pulled to their values" + (", the head's to zero" if new else "")
        return Selection(kept.trained() | new, doing, kept.state_bytes)

    @torch.no_grad()
    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once; add the penalty's gradient."""
        kept = self._kept
        kept.remember()
        if self.decoupled:
            for group, _ in by_group(step.optimizer, kept.moving()):
                check_stable(self.name, group, "alpha", self.alpha)
            for group, _ in by_group(step.optimizer, kept.new):
                check_stable(self.name, group, "beta", self.beta)
            return
        pulled = kept.moving()
        gradients = [parameter.grad for parameter in pulled.values() if parameter.grad is not None]
        add_differences(gradients, list(pulled.values()), [kept.value(name) for name in pulled], self.alpha)
        for parameter in kept.new.values():
            if parameter.grad is not None:
                parameter.grad.add_(parameter, alpha=self.beta)

    @torch.no_grad()
    def on_update(self, step: Step) -> None:
        """Pull the weights themselves where that is decoupled from the gradient."""
        if not self.decoupled:
            return
        kept = self._kept
        pulled = kept.moving()
        for group, names in by_group(step.optimizer, pulled):
            weights: list[Tensor] = [pulled[name] for name in names]
            values = [kept.value(name) for name in names]
            torch._foreach_lerp_(weights, values, float(group["lr"]) * self.alpha)
        new = {name: parameter for name, parameter in kept.new.items() if parameter.grad is not None}
        for group, names in by_group(step.optimizer, new):
            torch._foreach_mul_([new[name] for name in names], 1 - float(group["lr"]) * self.beta)

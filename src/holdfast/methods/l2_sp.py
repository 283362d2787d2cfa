"""L2-SP: an L2 penalty around the pre-trained weights."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.anchored import Anchored, AnchoredSession
from holdfast.methods.parts.model.pretrained import Pretrained, add_differences
from holdfast.methods.parts.param_groups import by_group, check_stable
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class L2SP(Anchored):
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
    def requires(self) -> Requires:
        """How pre-trained weights move; weight matrices, where nothing else is pulled."""
        return replace(super().requires, uses=frozenset() if self.biases else {Part.MATRICES})

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are pulled; the pre-trained ones are kept a second time.

        Raises ``HoldfastError`` where no pre-trained weight is trained.
        """
        anchors = self.anchors(model)
        new = {name: parameter for name, parameter in anchors.new.items() if parameter.requires_grad and self.beta}
        action = "pre-trained weights pulled to their values" + (", the head's to zero" if new else "")
        return Footprint(anchors.trained() | new, action, anchors.state_bytes)

    def start(self, model: nn.Module, plan: Plan) -> "L2SPSession":
        """Look up the weights that are pulled."""
        return L2SPSession(self, model, plan)

    def anchors(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled to their pre-trained values, and the head's."""
        return Pretrained(model, self.name, self.biases)


class L2SPSession(AnchoredSession[L2SP]):
    """The pulls of one training, through the gradient or on the weights themselves."""

    @torch.no_grad()
    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once; add the penalty's gradient."""
        anchors, method = self.anchors, self.method
        anchors.remember()
        if method.decoupled:
            for group, _ in by_group(step.optimizer, anchors.moving()):
                check_stable(method.name, group, "alpha", method.alpha)
            for group, _ in by_group(step.optimizer, anchors.new):
                check_stable(method.name, group, "beta", method.beta)
            return
        pulled = anchors.moving()
        gradients = [parameter.grad for parameter in pulled.values() if parameter.grad is not None]
        add_differences(gradients, list(pulled.values()), [anchors.value(name) for name in pulled], method.alpha)
        for parameter in anchors.new.values():
            if parameter.grad is not None:
                parameter.grad.add_(parameter, alpha=method.beta)

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Pull the weights themselves where that is decoupled from the gradient."""
        if not self.method.decoupled:
            return
        pulled = self.anchors.moving()
        for group, names in by_group(step.optimizer, pulled):
            weights: list[Tensor] = [pulled[name] for name in names]
            values = [self.anchors.value(name) for name in names]
            torch._foreach_lerp_(weights, values, float(group["lr"]) * self.method.alpha)
        new = {name: parameter for name, parameter in self.anchors.new.items() if parameter.grad is not None}
        for group, names in by_group(step.optimizer, new):
            torch._foreach_mul_([new[name] for name in names], 1 - float(group["lr"]) * self.method.beta)

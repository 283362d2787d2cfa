"""RecAdam: first stay at the pre-trained weights, then let go and learn the task."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan, Selection, Step
from holdfast.methods.parts.anchored import HoldsPretrained
from holdfast.methods.parts.model.pretrained import Pretrained
from holdfast.methods.parts.param_groups import Group, by_group, check_stable, decouples, unwrapped

_SLOWEST = 1e-12
"""Smallest share of Adam's step: a rate of 0 would also switch its weight decay off."""


def annealed(anneal: Literal["sigmoid", "linear"], step: int, k: float, t0: float, target: float) -> float:
    """Return lambda, the weight of the task at optimizer step 1, 2, ...: target / (1 + exp(-k (step - t0))).

    ``anneal="linear"``: target * min(1, step / t0). Chen et al. 2020, equation 6 and the published code.
    """
    if anneal == "linear":
        return target * min(1.0, step / t0)
    return target / (1.0 + math.exp(min(700.0, -k * (step - t0))))


@dataclass(frozen=True)
class RecAdam(HoldsPretrained):
    """Recall and learn: Adam with an annealed quadratic pull to the pre-trained weights (Chen et al. 2020).

    At step t the pre-trained weights take lambda(t) of Adam's step and are pulled,
    w -= lr * (target - lambda(t)) * gamma * (w - w0); lambda rises from 0 to ``target`` around step ``t0``. The
    head takes Adam's whole step. Works with torch's Adam and AdamW: their rate is lowered for the step itself
    and put back, so it costs one pass over the weights.

    Differs from the published code: the optimizer's weight decay comes before the pull and not after it, which
    leaves out lr^2 * (target - lambda) * gamma * weight_decay * w0 a step (about 2e-8 * w0 with its settings);
    eps is added as torch's Adam does. Its "constant" annealing, lambda = target, has no pull and is left out.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), RecAdam(t0=2)).train()
        >>> holdfast.methods.describe([RecAdam(t0=2)])  # as commands spell it
        'rec_adam(t0=2)'
    """

    name: ClassVar[str] = "rec_adam"
    summary: ClassVar[str] = "stays at the pre-trained weights first, then learns the task"

    anneal: Literal["sigmoid", "linear"] = "sigmoid"
    """How the task's weight rises."""
    k: float = 0.5
    """Slope of the sigmoid. Published: 0.5 by default, searched over 0.05, 0.1, 0.2, 0.5, 1."""
    t0: float = 250
    """Optimizer step at which it is half way (linear: at its end); below 1 it is a share of the training."""
    gamma: float = 5000.0
    """Strength of the pull; lr * gamma * target must stay below 2."""
    target: float = 1.0
    """What lambda rises to."""

    def __post_init__(self) -> None:
        for field in ("k", "t0", "gamma", "target"):
            value = getattr(self, field)
            if not 0 < value < float("inf"):
                raise HoldfastError(f"{self.name}({field}={value!r}): {field} must be a number above 0")

    def held(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled."""
        return Pretrained(model, self.name, biases=True)

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when training ends before the weights are let go."""
        total = plan.total_steps
        # A linear rise may well end with the training; a sigmoid is only half way up at t0.
        if total is not None and (total < self.t0 or (total == self.t0 and self.anneal == "sigmoid")):
            raise HoldfastError(
                f"{self.name}(t0={self.t0:g}) holds the weights for {self.t0:g} steps and training has "
                f"{total}: train longer, or give t0 as a share of it, t0=0.3"
            )

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights that are pulled, which are kept a second time."""
        kept = self.held(model)
        return Selection(kept.trained(), "held at their pre-trained values, then let go", kept.state_bytes)

    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once. Raises ``HoldfastError`` for optimizers and rates that cannot work."""
        self._kept.remember()
        kind = unwrapped(step.optimizer)
        # AdamW became a kind of Adam in torch 2.7.
        if not isinstance(kind, (torch.optim.Adam, torch.optim.AdamW)):
            raise HoldfastError(
                f"{self.name} scales the step of torch's Adam or AdamW, and the optimizer is {type(kind).__name__}: "
                "use one of those"
            )
        pull = "gamma" if self.target == 1 else "gamma * target"
        for group, _ in by_group(step.optimizer, self._kept.moving()):
            check_stable(self.name, group, pull, self.gamma * self.target)

    def on_clipped_gradients(self, step: Step) -> None:
        """Lower the rate of the groups with pre-trained weights for the coming step."""
        # Where the last one ran out of memory, its rates are still lowered.
        self._release()
        rate = self._lambda(step)
        share = max(rate, _SLOWEST)
        held = [group for group, _ in by_group(step.optimizer, self._kept.moving())]
        self.memory["held"] = [(group, group["lr"], group["weight_decay"], rate) for group in held]
        for group in held:
            group["lr"] = group["lr"] * share
            if decouples(step.optimizer, group):
                group["weight_decay"] = group["weight_decay"] / share

    @torch.no_grad()
    def on_update(self, step: Step) -> None:
        """Put the rates back, pull the pre-trained weights and give the head the rest of its step."""
        rates = {id(group): rate for group, _, _, rate in self.memory["held"]}
        self._release()
        kept = self._kept
        moved = kept.moving()
        for group, names in by_group(step.optimizer, moved):
            pull = float(group["lr"]) * (self.target - rates[id(group)]) * self.gamma
            weights: list[Tensor] = [moved[name] for name in names]
            values = [kept.value(name) for name in names]
            if pull:
                torch._foreach_lerp_(weights, values, pull)
            pretrained = {id(weight) for weight in weights}
            for parameter in group["params"]:
                if parameter.grad is not None and id(parameter) not in pretrained:
                    missing = float(group["lr"]) * (1 - max(rates[id(group)], _SLOWEST))
                    parameter.sub_(_adam_direction(step.optimizer, group, parameter), alpha=missing)

    def finish(self, model: nn.Module) -> None:
        """Put the rates back where training was broken off inside a step."""
        self._release()

    def _lambda(self, step: Step) -> float:
        t0 = self.t0
        if t0 < 1:
            if step.total is None:
                raise HoldfastError(
                    f"{self.name}(t0={t0:g}) is a share of the training, whose length is not known: "
                    "pass Engine(..., total_steps=...), or t0 in steps"
                )
            t0 *= step.total
        return annealed(self.anneal, step.index + 1, self.k, t0, self.target)

    def _release(self) -> None:
        for group, rate, decay, _ in self.memory.pop("held", ()):
            group["lr"], group["weight_decay"] = rate, decay


def _adam_direction(optimizer: torch.optim.Optimizer | None, group: Group, parameter: nn.Parameter) -> Tensor:
    assert optimizer is not None
    state = optimizer.state[parameter]
    first, second = group["betas"]
    # In float32, 1 - 0.999 is wrong in the fifth digit.
    count = torch.as_tensor(state["step"]).double()
    squares: Tensor = state["max_exp_avg_sq"] if group["amsgrad"] else state["exp_avg_sq"]
    scale = (squares / (1 - second**count)).sqrt_().add_(group["eps"])
    mean: Tensor = state["exp_avg"]
    step: Tensor = mean / (1 - first**count) / scale
    return step

"""One training with RecAdam: the optimizer's step, lowered for the pre-trained weights, and their pull."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.anchored import AnchoredSession
from holdfast.methods.parts.param_groups import Group, by_group, check_stable, decouples, unwrapped
from holdfast.methods.rec_adam.adam_direction import adam_direction
from holdfast.methods.rec_adam.annealing import annealed
from holdfast.methods.rec_adam.method import RecAdam

_SLOWEST = 1e-12
"""Smallest share of Adam's step: a rate of 0 would also switch its weight decay off."""


class RecAdamSession(AnchoredSession[RecAdam]):
    """The groups whose learning rate is lowered, for the time of the optimizer's step."""

    def __init__(self, method: RecAdam, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._lowered: list[tuple[Group, float, float]] = []
        """With the learning rate and the weight decay that they had."""
        self._task_weight = 0.0
        """Lambda at the present step."""

    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once; refuse optimizers and rates that cannot work."""
        self.anchors.remember()
        method, kind = self.method, unwrapped(step.optimizer)
        # AdamW became a kind of Adam in torch 2.7.
        if not isinstance(kind, (torch.optim.Adam, torch.optim.AdamW)):
            raise HoldfastError(
                f"{method.name} scales the step of torch's Adam or AdamW, and the optimizer is {type(kind).__name__}: "
                "use one of those"
            )
        pull = "gamma" if method.target == 1 else "gamma * target"
        for group, _ in by_group(step.optimizer, self.anchors.moving()):
            check_stable(method.name, group, pull, method.gamma * method.target)

    def on_clipped_gradients(self, step: Step) -> None:
        """Lower the rate of the groups with pre-trained weights for the coming step."""
        # Where the last one ran out of memory, its rates are still lowered.
        self._restore_rates()
        self._task_weight = self._annealed(step)
        share = max(self._task_weight, _SLOWEST)
        for group, _ in by_group(step.optimizer, self.anchors.moving()):
            self._lowered.append((group, group["lr"], group["weight_decay"]))
            group["lr"] = group["lr"] * share
            if decouples(step.optimizer, group):
                group["weight_decay"] = group["weight_decay"] / share

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Put the rates back, pull the pre-trained weights and give the head the rest of its step."""
        self._restore_rates()
        method, moved = self.method, self.anchors.moving()
        for group, names in by_group(step.optimizer, moved):
            pull = float(group["lr"]) * (method.target - self._task_weight) * method.gamma
            weights: list[Tensor] = [moved[name] for name in names]
            values = [self.anchors.value(name) for name in names]
            if pull:
                torch._foreach_lerp_(weights, values, pull)
            pretrained = {id(weight) for weight in weights}
            for parameter in group["params"]:
                if parameter.grad is not None and id(parameter) not in pretrained:
                    missing = float(group["lr"]) * (1 - max(self._task_weight, _SLOWEST))
                    parameter.sub_(adam_direction(step.optimizer, group, parameter), alpha=missing)

    def finish(self) -> Mapping[str, float]:
        """Put the rates back where training was broken off inside a step."""
        self._restore_rates()
        return {}

    def _annealed(self, step: Step) -> float:
        method, t0 = self.method, self.method.t0
        if t0 < 1:
            if step.total is None:
                raise HoldfastError(
                    f"{method.name}(t0={t0:g}) is a share of the training, whose length is not known: "
                    "pass Engine(..., total_steps=...), or t0 in steps"
                )
            t0 *= step.total
        return annealed(method.anneal, step.index + 1, method.k, t0, method.target)

    def _restore_rates(self) -> None:
        for group, rate, decay in self._lowered:
            group["lr"], group["weight_decay"] = rate, decay
        self._lowered = []

"""Weight decay towards the pre-trained weights, where plain weight decay pulls to zero."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.anchored import Anchored, AnchoredSession
from holdfast.methods.parts.model.pretrained import Pretrained
from holdfast.methods.parts.param_groups import Group, by_group, check_stable, decouples, unwrapped
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class PretrainedDecay(Anchored):
    """Decoupled weight decay whose centre is the pre-trained weights: w -= lr * decay * (w - w0).

    A prior centred on the source model's weights (Daume 2007 names the idea), in AdamW's form (Loshchilov &
    Hutter 2019). It takes the place of the optimizer's own decay to zero for those weights, which is undone;
    the others, head and biases, keep theirs. The whole pull is the formula's exactly; the optimizer's step,
    which came in between, is scaled by (1 - lr * decay) / (1 - lr * weight_decay): 1 where the two are equal.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), PretrainedDecay(decay=0.02)).train()
        >>> holdfast.methods.describe([PretrainedDecay(decay=0.02)])  # as commands spell it
        'pretrained_decay(decay=0.02)'
    """

    name: ClassVar[str] = "pretrained_decay"
    summary: ClassVar[str] = "weight decay towards the pre-trained weights, not to zero"

    decay: float = 0.01
    """Strength; the learning rate multiplies it, as AdamW's ``weight_decay``."""
    biases: bool = False
    """Include biases and normalisation."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay < float("inf"):
            raise HoldfastError(f"{self.name}(decay={self.decay!r}): decay must be a number of at least 0")

    @property
    def requires(self) -> Requires:
        """How pre-trained weights move; weight matrices, where nothing else is pulled."""
        return replace(super().requires, uses=frozenset() if self.biases else {Part.MATRICES})

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are pulled, which are kept a second time.

        Raises ``HoldfastError`` where no pre-trained weight is trained.
        """
        anchors = self.anchors(model)
        return Footprint(anchors.trained(), "decayed to their pre-trained values", anchors.state_bytes)

    def start(self, model: nn.Module, plan: Plan) -> "PretrainedDecaySession":
        """Look up the weights that are pulled."""
        return PretrainedDecaySession(self, model, plan)

    def anchors(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled."""
        return Pretrained(model, self.name, self.biases)


class PretrainedDecaySession(AnchoredSession[PretrainedDecay]):
    """The decay of one training, after each of the optimizer's steps."""

    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once; refuse an optimizer whose decay cannot be undone."""
        self.anchors.remember()
        for group, _ in by_group(step.optimizer, self.anchors.moving()):
            check_stable(self.method.name, group, "decay", self.method.decay)
            if _weight_decay(group) and not decouples(step.optimizer, group):
                kind = type(unwrapped(step.optimizer)).__name__
                raise HoldfastError(
                    f"{self.method.name} replaces AdamW's weight decay and cannot undo that of {kind}: "
                    "use AdamW, or set its weight_decay to 0"
                )

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Undo the decay to zero and pull to the pre-trained values."""
        moved = self.anchors.moving()
        for group, names in by_group(step.optimizer, moved):
            weights: list[Tensor] = [moved[name] for name in names]
            values = [self.anchors.value(name) for name in names]
            rate = float(group["lr"])
            pull, undone = rate * self.method.decay, rate * _weight_decay(group)
            if not undone:
                torch._foreach_lerp_(weights, values, pull)
                continue
            if pull != undone:
                torch._foreach_mul_(weights, (1 - pull) / (1 - undone))
            torch._foreach_add_(weights, values, alpha=pull)


def _weight_decay(group: Group) -> float:
    return float(group.get("weight_decay", 0.0))

"""Weight decay towards the pre-trained weights, where plain weight decay pulls to zero."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Selection, Step
from holdfast.methods.parts.anchored import HoldsPretrained
from holdfast.methods.parts.model.freezing import MATRICES
from holdfast.methods.parts.model.pretrained import Pretrained
from holdfast.methods.parts.param_groups import Group, by_group, check_stable, decouples, unwrapped


@dataclass(frozen=True)
class PretrainedDecay(HoldsPretrained):
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
    def uses(self) -> frozenset[str]:
        """Weight matrices, where nothing else is pulled."""
        return frozenset(() if self.biases else {MATRICES})

    def held(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled."""
        return Pretrained(model, self.name, self.biases)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights that are pulled, which are kept a second time."""
        kept = self.held(model)
        return Selection(kept.trained(), "decayed to their pre-trained values", kept.state_bytes)

    def on_gradients(self, step: Step) -> None:
        """Take the pre-trained values once. Raises ``HoldfastError`` for an optimizer whose decay it cannot undo."""
        self._kept.remember()
        for group, _ in by_group(step.optimizer, self._kept.moving()):
            check_stable(self.name, group, "decay", self.decay)
            if _weight_decay(group) and not decouples(step.optimizer, group):
                kind = type(unwrapped(step.optimizer)).__name__
                raise HoldfastError(
                    f"{self.name} replaces AdamW's weight decay and cannot undo that of {kind}: "
                    "use AdamW, or set its weight_decay to 0"
                )

    @torch.no_grad()
    def on_update(self, step: Step) -> None:
        """Undo the decay to zero and pull to the pre-trained values."""
        kept = self._kept
        moved = kept.moving()
        for group, names in by_group(step.optimizer, moved):
            weights: list[Tensor] = [moved[name] for name in names]
            values = [kept.value(name) for name in names]
            rate = float(group["lr"])
            pull, undone = rate * self.decay, rate * _weight_decay(group)
            if not undone:
                torch._foreach_lerp_(weights, values, pull)
                continue
            if pull != undone:
                torch._foreach_mul_(weights, (1 - pull) / (1 - undone))
            torch._foreach_add_(weights, values, alpha=pull)


def _weight_decay(group: Group) -> float:
    return float(group.get("weight_decay", 0.0))

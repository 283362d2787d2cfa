"""What ``attach`` adds to a Transformers ``Trainer``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from holdfast.methods.base import Method, MethodSession
from holdfast.training.forward.objective import Objective, Window


@dataclass(frozen=True)
class Reduction:
    """What a loss is that the Trainer takes for a sum divided by the items of the whole optimizer step."""

    mean: bool
    """It is the mean over its micro-batch instead."""
    processes: int
    """By which number of them the Trainer multiplied it."""


class Attachment:
    """The methods of a trainer, and where they are in its training."""

    def __init__(self, given: tuple[Method, ...], stacked: bool, makes_optimizer: bool) -> None:
        self.given = given
        self.stacked = stacked
        self.makes_optimizer = makes_optimizer
        """Whether the Trainer makes the optimizer, which the user did not give."""
        self.trained: list[nn.Parameter] = []
        """All parameters of the model as it was prepared last."""
        self.sessions: list[MethodSession[Any]] = []
        """Of the training in progress, in the order in which the methods act."""
        self.facts: dict[str, float] = {}
        """What the methods told when it ended."""
        self.objective: Objective | None = None
        self.prepared = False
        self.resumed = False
        self.pretrained: nn.Module | None = None
        """The model whose pre-training is done."""
        self.samples: list[Mapping[str, Any]] = []
        """The micro-batches of the current optimizer step."""
        self.window: Window | None = None
        self.reduction: Reduction | None = None
        """None before a batch told, and where it does not matter."""
        self.multiplied = False
        """Whether the current ``compute_loss`` multiplied by the number of processes."""
        self.computed = False
        """Whether the training, of whatever kind its ``training_step`` is, came by ``compute_loss``."""
        self.terms: dict[str, Tensor] = {}
        """Sums of the logged terms since the last log, and the step of that log."""
        self.logged_step = 0
        self.skipped = 0
        """Steps that the Trainer counted and the gradient scaler skipped."""
        self.fused_loss_is_own: bool | None = None
        """Whether the loss that TRL makes of its fused outputs is the model's own; None before a batch told."""
        self.overflowed = False
        """Whether the scaler skips the current step."""
        self.fresh: dict[str, dict[str, Tensor]] = {}
        """The methods' state before the first step, for a training begun again with smaller batches."""

"""RecAdam: first stay at the pre-trained weights, then let go and learn the task."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.parts.anchored import Anchored
from holdfast.methods.parts.model.pretrained import Pretrained
from holdfast.methods.requires import Footprint


@dataclass(frozen=True)
class RecAdam(Anchored):
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

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are pulled, which are kept a second time.

        Raises ``HoldfastError`` where no pre-trained weight is trained.
        """
        anchors = self.anchors(model)
        return Footprint(anchors.trained(), "held at their pre-trained values, then let go", anchors.state_bytes)

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when training ends before the weights are let go."""
        total = plan.total_steps
        # A linear rise may well end with the training; a sigmoid is only half way up at t0.
        if total is not None and (total < self.t0 or (total == self.t0 and self.anneal == "sigmoid")):
            raise HoldfastError(
                f"{self.name}(t0={self.t0:g}) holds the weights for {self.t0:g} steps and training has "
                f"{total}: train longer, or give t0 as a share of it, t0=0.3"
            )

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["RecAdam"]:
        """Look up the weights that are pulled."""
        from holdfast.methods.rec_adam.session import RecAdamSession

        return RecAdamSession(self, model, plan)

    def anchors(self, model: nn.Module) -> Pretrained:
        """Return the weights that are pulled."""
        return Pretrained(model, self.name, biases=True)

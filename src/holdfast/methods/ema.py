"""EMA: ends with an average of the weights over the training."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.weight_average import WeightAverage, average_bytes
from holdfast.methods.parts.weight_swap import put, swapped
from holdfast.methods.requires import Footprint, Order, Part, Requires


@dataclass(frozen=True)
class EMA(Method):
    """End with an exponential moving average of the weights, in place of the last ones.

    average <- d * average + (1 - d) * weight after each optimizer step, from the weights after the first one.
    Averaging the iterates of stochastic gradient descent goes back to Polyak & Juditsky (1992). ``warmup`` lowers d
    to min(decay, (1 + t) / (10 + t)) after step t = 0, 1, ..., as TensorFlow's ExponentialMovingAverage does when it
    is told the step: the average is then about the last tenth of the training so far, however short, until
    ``decay`` is reached (0.999 after 8990 steps). That it is on by default is our choice.

    Evaluation in training, checkpoints and the model at the end have the average; training goes on with the weights.
    Buffers are not averaged.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), EMA(decay=0.99)).train()
        >>> holdfast.methods.describe([EMA(decay=0.99)])  # as commands spell it
        'ema(decay=0.99)'
    """

    name: ClassVar[str] = "ema"
    summary: ClassVar[str] = "ends with a moving average of the weights"

    decay: float = 0.999
    """Share of the average that is kept at a step: it looks about 1 / (1 - decay) steps back."""
    warmup: bool = True
    """Whether the decay grows with the training; without, one shorter than some 1 / (1 - decay) steps ends near
    the weights of its first step."""

    def __post_init__(self) -> None:
        if not 0 <= self.decay < 1:
            raise HoldfastError(
                f"ema(decay={self.decay!r}): decay is the share of the average kept at a step, at least 0 and below 1"
            )

    @property
    def requires(self) -> Requires:
        """The weights that the training ends with, and those that the optimizer moves."""
        return Requires(replaces={Part.FINAL_WEIGHTS}, uses={Part.GRADIENTS}, order=Order.FINAL_WEIGHTS)

    def check(self, model: nn.Module) -> Footprint:
        """Return the trained weights, which are kept a second time."""
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad and p.is_floating_point()}
        return Footprint(trained, "averaged over the training", average_bytes(trained))

    def start(self, model: nn.Module, plan: Plan) -> "EMASession":
        """Leave the model as it is."""
        return EMASession(self, model, plan)


class EMASession(MethodSession[EMA]):
    """The average."""

    def __init__(self, method: EMA, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.average: WeightAverage | None = None
        """None before the first step, after whose weights it begins."""

    def after_step(self, step: Step) -> None:
        """Move the average towards the weights."""
        if step.index == 0 or self.average is None:
            # A training begun anew, out of memory in the middle, starts a new average.
            self.average = WeightAverage(self.model)
            return
        self.average.update(ema_decay(step.index, self.method.decay, self.method.warmup))

    def final_weights(self) -> AbstractContextManager[None]:
        """Put the average in the place of the weights."""
        return nullcontext() if self.average is None else swapped(self._parameters(), self.average.values)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average, and the weights being trained, as a plain checkpoint holds the average."""
        if self.average is None:
            return {}
        parameters = self._parameters()
        averages = self.average.state_dict()
        state = {f"average/{name}": value for name, value in averages.items()}
        return state | {f"trained/{name}": parameters[name].detach().clone() for name in averages}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore both."""
        self.average = None
        if not state:
            return
        saved: dict[str, dict[str, Tensor]] = {"average": {}, "trained": {}}
        for key, value in state.items():
            kind, _, name = key.partition("/")
            saved[kind][name] = value
        put(self._parameters(), saved["trained"])
        self.average = WeightAverage(self.model)
        self.average.load_state_dict(saved["average"])

    def finish(self) -> Mapping[str, float]:
        """Leave the model with the average, also where training was broken off."""
        if self.average is not None:
            put(self._parameters(), self.average.values)
        return {}

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters())


def ema_decay(step: int, decay: float, warmup: bool) -> float:
    """Return the share of the average that is kept after ``step``, which counts from 0."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay

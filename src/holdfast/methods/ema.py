"""EMA: ends with an average of the weights over the training."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection, Step
from holdfast.methods.parts.model.matrices import GRADIENTS
from holdfast.methods.parts.weight_average import WeightAverage, average_bytes
from holdfast.methods.parts.weight_swap import FINAL, put, swapped


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
    def replaces(self) -> frozenset[str]:
        """The weights that the training ends with."""
        return frozenset({FINAL})

    @property
    def uses(self) -> frozenset[str]:
        """The weights that the optimizer moves."""
        return frozenset({GRADIENTS})

    def selection(self, model: nn.Module) -> Selection:
        """Return the trained weights, which are kept a second time."""
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad and p.is_floating_point()}
        return Selection(trained, "averaged over the training", average_bytes(trained))

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Forget an average of an earlier training."""
        self.memory.clear()

    def on_update(self, step: Step) -> None:
        """Move the average towards the weights."""
        if step.index == 0 or "average" not in self.memory:
            # A training begun anew starts a new average.
            self.memory["average"] = WeightAverage(step.model)
            return
        self.memory["average"].update(ema_decay(step.index, self.decay, self.warmup))

    def shown(self, model: nn.Module) -> AbstractContextManager[None]:
        """Put the average in the place of the weights."""
        values = self._values()
        return swapped(dict(model.named_parameters()), values) if values else nullcontext()

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the average, and the weights being trained, as a plain checkpoint holds the average."""
        average: WeightAverage | None = self.memory.get("average")
        if average is None:
            return {}
        parameters = dict(model.named_parameters())
        kept = average.state_dict()
        state = {f"average/{name}": value for name, value in kept.items()}
        return state | {f"trained/{name}": parameters[name].detach().clone() for name in kept}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore both."""
        self.memory.clear()
        if not state:
            return
        found: dict[str, dict[str, Tensor]] = {"average": {}, "trained": {}}
        for key, value in state.items():
            kind, _, name = key.partition("/")
            found[kind][name] = value
        put(dict(model.named_parameters()), found["trained"])
        self.memory["average"] = WeightAverage(model)
        self.memory["average"].load_state_dict(found["average"])

    def finish(self, model: nn.Module) -> None:
        """Leave the model with the average, also where training was broken off."""
        put(dict(model.named_parameters()), self._values())
        self.memory.clear()

    def _values(self) -> Mapping[str, Tensor]:
        average: WeightAverage | None = self.memory.get("average")
        return {} if average is None else average.values


def ema_decay(step: int, decay: float, warmup: bool) -> float:
    """Return the share of the average that is kept after ``step``, which counts from 0."""
    return min(decay, (1 + step) / (10 + step)) if warmup else decay

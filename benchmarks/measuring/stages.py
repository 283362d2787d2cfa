"""What a stage of training before the task's own takes, such as SURT's re-training."""

import time
from dataclasses import dataclass, replace
from functools import partial

from holdfast.errors import HoldfastError
from holdfast.methods import Plan
from holdfast.methods.base import SelfSupervised
from holdfast.training.pretraining.self_supervised import Text, retrain
from measuring.contestants import Contestant, methods_of
from measuring.flops import flops
from measuring.memory import peak_bytes
from measuring.setup import Setup

_FEW, _MORE = 1, 3
"""Steps of the short stages from which a long one's time follows."""


@dataclass(frozen=True)
class _Stage:
    method: str
    what: SelfSupervised
    setup: Setup

    def run(self, steps: int) -> None:
        """Carry out one pass over the rows of ``steps`` optimizer steps."""
        setup = self.setup
        count = steps * setup.accumulation
        text = Text(lambda: iter(setup.some(count)), count, setup.accumulation, setup.tokenizer, setup.arithmetic)
        retrain(setup.model(), replace(self.what, epochs=1), text, 0, self.method, lambda progress: None)

    @property
    def steps(self) -> float:
        """Optimizer steps of the whole stage."""
        return self.what.epochs * self.setup.epoch_batches / self.setup.accumulation

    def seconds(self, steps: int) -> float:
        """Return how long ``run`` takes."""
        self.setup.synchronise()
        began = time.perf_counter()
        self.run(steps)
        self.setup.synchronise()
        return time.perf_counter() - began


def check_stages(contestant: Contestant, setup: Setup) -> None:
    """Raise ``HoldfastError`` where a method trains on text first and there is no tokenizer."""
    if setup.tokenizer is None and (stages := _stages(contestant, setup)):
        raise HoldfastError(
            f"{stages[0].method} trains on text first, which takes the model's tokenizer: "
            "use --model minilm, a folder or a hub id"
        )


def stage_seconds(contestant: Contestant, setup: Setup) -> float:
    """Return how long the stages take over all training rows; 0 where there is none."""
    total = 0.0
    for stage in _stages(contestant, setup):
        stage.run(_FEW)  # What it imports and loads for the first time is not part of it.
        few, more = stage.seconds(_FEW), stage.seconds(_MORE)
        total += few + (more - few) / (_MORE - _FEW) * (stage.steps - _FEW)
    return total


def stage_flops(contestant: Contestant, setup: Setup) -> float:
    """Return the floating-point operations of the stages over all training rows."""
    total = 0.0
    for stage in _stages(contestant, setup):
        few, more = (flops(partial(stage.run, steps)) for steps in (_FEW, _MORE))
        total += (more - few) / (_MORE - _FEW) * stage.steps
    return total


def stage_peak_bytes(contestant: Contestant, setup: Setup) -> int:
    """Return the most memory that a stage holds at once."""
    stages = _stages(contestant, setup)
    return max((peak_bytes(partial(stage.run, _MORE), setup.device) for stage in stages), default=0)


def _stages(contestant: Contestant, setup: Setup) -> list[_Stage]:
    plan = Plan(setup.total_steps)
    first = [method for method in methods_of(contestant) if method.requires.text]
    return [_Stage(one.name, what, setup) for one in first for what in one.start(setup.model(), plan).pretraining()]

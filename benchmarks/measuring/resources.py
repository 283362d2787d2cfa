"""What a method needs beside time: memory, arithmetic and state, over a whole short training."""

import math
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.methods import Plan, parse
from holdfast.training.traits import measures
from measuring.arm import Arm
from measuring.flops import flops
from measuring.memory import peak_bytes
from measuring.setup import Setup
from measuring.state import claimed, state_bytes

_TOLERANCE = 0.05


@dataclass(frozen=True)
class Resources:
    """Of one method."""

    peak_bytes: int
    """Most memory held at once: model, gradients, optimizer, activations and the method's own."""
    flops: float
    """Of a step, with its share of a look at the training data; what is done once, such as a check, is left out."""
    state_bytes: int
    """What the method holds beside model, gradients and optimizer, at most."""
    weights: int
    """How many weights it works on."""
    claimed_bytes: int | None
    """State by the method's own account (``Selection.state_bytes``); None where it gives none."""

    @property
    def disagreement(self) -> str | None:
        """What to tell when the method's account of its state is not what was found, else None."""
        if self.claimed_bytes is None or math.isclose(self.state_bytes, self.claimed_bytes, rel_tol=_TOLERANCE):
            return None
        return (
            f"its selection says that it keeps {self.claimed_bytes / self.weights:.2f} bytes a selected weight, "
            f"{self.state_bytes / self.weights:.2f} were found"
        )


def resources(method: str, setup: Setup, steps: int) -> Resources:
    """Measure ``method`` in a training of ``steps`` optimizer steps, so short that all of it is done.

    It has as many stages as a long one. Of the training data, methods that look at them see the same share. Of
    methods that refuse so short a training, the first ``steps`` of the whole one are measured.
    """
    total = steps if _accepted(method, steps) else setup.total_steps
    measured = max(1, round(steps / setup.epochs)) * setup.accumulation
    weights, claim = claimed(method, setup)
    return Resources(
        peak_bytes=peak_bytes(lambda: _train(method, setup, total, steps, measured), setup.device),
        flops=_flops_of_a_step(method, setup, total, steps),
        state_bytes=state_bytes(method, setup, total, steps, measured),
        weights=weights,
        claimed_bytes=claim,
    )


def _train(method: str, setup: Setup, total: int, steps: int, measured: int) -> None:
    data = [setup.batches[index % len(setup.batches)] for index in range(measured)]
    Arm(method, setup, total, data).train(steps)


def _flops_of_a_step(method: str, setup: Setup, total: int, steps: int) -> float:
    """From differences, so that what is done once drops out."""
    one = flops(lambda: _train(method, setup, total, 1, 1))
    each = (flops(lambda: _train(method, setup, total, steps, 1)) - one) / (steps - 1)
    if any(measures(single) for single in parse(method)):
        batch = flops(lambda: _train(method, setup, total, 1, 2)) - one
        each += batch * setup.epoch_batches / setup.total_steps
    return each


def _accepted(method: str, steps: int) -> bool:
    try:
        for one in parse(method):
            one.check_plan(Plan(steps))
    except HoldfastError:
        return False
    return True

"""What a method needs beside time: memory, arithmetic and state, over a whole short training."""

import math
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from holdfast.methods import Plan
from measuring.arm import Arm
from measuring.contestants import Contestant, keeps_rows, looks, methods_of, start
from measuring.flops import flops
from measuring.memory import peak_bytes
from measuring.setup import Setup
from measuring.stages import stage_flops, stage_peak_bytes
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
    """State by the method's own account (``Footprint.state_bytes``); None where it gives none."""

    @property
    def disagreement(self) -> str | None:
        """What to tell when the method's account of its state is not what was found, else None."""
        if self.claimed_bytes is None or math.isclose(self.state_bytes, self.claimed_bytes, rel_tol=_TOLERANCE):
            return None
        return (
            f"its selection says that it keeps {self.claimed_bytes / self.weights:.2f} bytes a selected weight, "
            f"{self.state_bytes / self.weights:.2f} were found"
        )


def resources(contestant: Contestant, setup: Setup, steps: int) -> Resources:
    """Measure ``contestant`` in a training of ``steps`` optimizer steps, so short that all of it is done.

    It has as many stages as a long one. Of the training data, methods that look at them see the same share. Of
    methods that refuse so short a training, the first ``steps`` of the whole one are measured.
    """
    total = steps if _accepted(contestant, steps) else setup.total_steps
    shown = max(1, round(steps / setup.epochs)) * setup.accumulation
    weights, claim = claimed(contestant, setup)
    # Apart from the counting, which holds tensors longer than they are needed.
    peak = peak_bytes(lambda: start(contestant, setup, total, setup.some(shown)).train(steps), setup.device)
    before = stage_flops(contestant, setup) + (_look_flops(contestant, setup, total) if looks(contestant) else 0.0)
    return Resources(
        peak_bytes=max(peak, stage_peak_bytes(contestant, setup)),
        flops=_flops_of_a_step(contestant, setup, total, steps) + before / setup.total_steps,
        state_bytes=state_bytes(contestant, setup, total, steps, shown),
        weights=weights,
        claimed_bytes=claim,
    )


def resident_bytes(found: Resources, setup: Setup) -> int:
    """Return how much memory a training of ``found`` holds between its steps, at most."""
    model: int = sum(tensor.numel() * tensor.element_size() for tensor in setup.base.state_dict().values())
    # The weights, and what Adam keeps: twice their size.
    return 3 * model + found.state_bytes


def _flops_of_a_step(contestant: Contestant, setup: Setup, total: int, steps: int) -> float:
    """Count all of ``steps`` but the first, so that what is done once drops out."""
    arm = start(contestant, setup, total, setup.some(1))
    first = flops(lambda: arm.train(1))
    if keeps_rows(contestant):
        assert isinstance(arm, Arm)
        arm.meet_all()
    each = flops(lambda: arm.train(steps - 1)) / (steps - 1)
    # Every row is new once in the training.
    news = (first - each) / setup.epochs if keeps_rows(contestant) else 0.0
    return each + news


def _look_flops(contestant: Contestant, setup: Setup, total: int) -> float:
    """Return what a look at all training rows takes."""
    few, more = (start(contestant, setup, total, setup.some(count)) for count in (1, 2))
    batch = flops(lambda: more.train(1)) - flops(lambda: few.train(1))
    return batch * setup.epoch_batches


def _accepted(contestant: Contestant, steps: int) -> bool:
    try:
        for one in methods_of(contestant):
            one.check_plan(Plan(steps))
    except HoldfastError:
        return False
    return True

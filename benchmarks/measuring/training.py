"""A training taken forward step by step, whatever trains."""

import itertools
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from measuring.setup import Setup


class Training:
    """A model of its own and what trains it, in a training of ``total_steps`` optimizer steps."""

    model: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, setup: Setup, total_steps: int) -> None:
        self.setup = setup
        self.total_steps = total_steps
        self.given: list[Tensor] = []
        """The plain model's own tensors."""
        self.preparing = 0.0
        """Seconds that preparation took."""
        self.gradients: list[tuple[nn.Parameter, Tensor]] = []
        """Those that every step of a walk starts from."""
        self.given_gradients: list[Tensor] = []
        """What methods get of these at a step of a walk."""
        self.batches = itertools.cycle(setup.batches)

    def forward_backward(self) -> None:
        """Do the passes of one micro-batch."""
        raise NotImplementedError

    def step(self) -> None:
        """Close a micro-batch; the last of an optimizer step updates the weights."""
        raise NotImplementedError

    def walk(self, until: int, watch: Callable[[], None] = lambda: None) -> dict[int, float]:
        """Go on to step ``until`` without forward and backward passes; return the seconds each step took so."""
        raise NotImplementedError

    def skip(self, until: int) -> None:
        """Go on to step ``until`` without doing anything."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what was held."""

    def train(self, steps: int) -> float:
        """Do whole optimizer steps; return the seconds they took."""
        self.setup.synchronise()
        began = time.perf_counter()
        for _ in range(steps * self.setup.accumulation):
            self.forward_backward()
            self.step()
        self.setup.synchronise()
        return time.perf_counter() - began

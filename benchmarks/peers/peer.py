"""What the benchmark has to know of an implementation by others."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

Objective = Callable[[Mapping[str, Tensor]], Tensor]
"""Gives the whole loss of a batch, the model's keyword arguments with ``labels``; its gradient is what trains."""


@dataclass(frozen=True)
class Peer:
    """Trains the same model on the same batches with the same optimizer, in a loop of its own."""

    name: str
    package: str
    """What is imported."""
    install: str
    """What installs it."""
    floor: float
    """As of a method (``measuring/floors.py``)."""
    objective: Callable[[nn.Module], Objective]
    """Makes the loss for a classifier. Raises ``HoldfastError`` where the peer cannot work on it."""

    @property
    def label(self) -> str:
        """What it is called in tables and files."""
        return f"{self.name} (peer)"

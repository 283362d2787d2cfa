"""Where a run is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    step: int
    """Optimizer steps done."""
    total: int
    phase: str
    """``preparing``, ``re-training``, ``training``, ``scoring`` or ``probing``."""
    loss: float | None
    """The last logged training loss."""


OnProgress = Callable[[Progress], None]

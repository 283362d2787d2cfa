"""What ``holdfast stability synthetic`` finds, in one piece."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

import holdfast
from holdfast.stability.simulations import Simulations, simulate
from holdfast.stability.synthetic import SyntheticStudy, synthetic_study


class SyntheticResults(BaseModel):
    """The contents of ``synthetic.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    holdfast: str
    """Version that wrote it."""
    study: SyntheticStudy
    """Many sets, everything varied at once."""
    simulations: Simulations
    """One thing varied at a time."""


def synthetic_results(
    sets: int = 300, *, seed: int = 0, progress: Callable[[int], None] | None = None
) -> SyntheticResults:
    """Run ``synthetic_study`` and ``simulate``. Raises ``HoldfastError`` as the first of them does."""
    study = synthetic_study(sets, seed=seed, progress=progress)
    return SyntheticResults(holdfast=holdfast.__version__, study=study, simulations=simulate(seed))

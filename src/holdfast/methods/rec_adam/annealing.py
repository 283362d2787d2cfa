"""How the weight of the task rises in a training with RecAdam."""

import math
from typing import Literal


def annealed(anneal: Literal["sigmoid", "linear"], step: int, k: float, t0: float, target: float) -> float:
    """Return lambda, the weight of the task at optimizer step 1, 2, ...: target / (1 + exp(-k (step - t0))).

    ``anneal="linear"``: target * min(1, step / t0). Chen et al. 2020, equation 6 and the published code.
    """
    if anneal == "linear":
        return target * min(1.0, step / t0)
    return target / (1.0 + math.exp(min(700.0, -k * (step - t0))))

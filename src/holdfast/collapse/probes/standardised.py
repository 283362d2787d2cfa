"""Features brought to mean 0 and standard deviation 1, by the training rows' statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.rows import spans

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CONSTANT = 1e-6
"""Standard deviation, relative to the mean, below which a feature varies by its rounding only."""


@dataclass(frozen=True)
class Standard:
    """What is taken from each feature, and what the rest is multiplied by: 0 for constant ones. Both ``(width,)``."""

    mean: Array
    factor: Array

    def __call__(self, features: Array) -> Array:
        """Return a standardised copy in float32, computed in float64 a span at a time."""
        import numpy as np

        standardised = np.empty(features.shape, dtype=np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for span in spans(*features.shape):
                standardised[span] = (features[span] - self.mean) * self.factor
        return standardised


def standard_of(features: Array) -> Standard | None:
    """Return the statistics of ``(n, width)`` features, n at least 1; None where they are not finite."""
    import numpy as np

    n, width = features.shape
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum((features[span].sum(axis=0, dtype=np.float64) for span in spans(n, width)), np.zeros(width)) / n
        square = np.zeros(width)
        for span in spans(n, width):
            square += ((features[span] - mean) ** 2).sum(axis=0)
        deviation = np.sqrt(square / n)
    if not np.isfinite(deviation).all():
        return None
    varies = deviation > _CONSTANT * np.abs(mean)
    return Standard(mean, np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0))

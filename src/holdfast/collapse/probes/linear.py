"""A grid of linear models on the same features, as the solvers return it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LinearFits:
    """The models of ``sets`` of training rows x ``strengths`` of the penalty."""

    weights: Array
    """``(sets, strengths, outputs, width)`` float64."""
    biases: Array
    """``(sets, strengths, outputs)`` float64."""
    converged: Array
    """``(sets, strengths)`` bool; False where an iterative solver stopped at its most steps."""

    def outputs(self, features: Array, of_set: int) -> Array:
        """Return the outputs, ``(strengths, rows, outputs)``, of one set's models for ``(rows, width)`` features.

        The products are computed in the features' type; the outputs are float64.
        """
        strengths, outputs, width = self.weights[of_set].shape
        flat = self.weights[of_set].reshape(-1, width).astype(features.dtype)
        products: Array = features @ flat.T + self.biases[of_set].reshape(-1)
        return products.reshape(-1, strengths, outputs).transpose(1, 0, 2)

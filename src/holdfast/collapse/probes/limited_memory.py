"""L-BFGS directions for many problems at once, each with its own history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_LEAST_CURVATURE = 1e-12
"""Relative; a pair below it is rounding, and is passed over."""


class History:
    """The last steps of each problem and how its gradient changed over them (Nocedal & Wright, algorithm 7.4)."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pairs: list[tuple[Array, Array, Array]] = []

    def direction(self, gradient: Array) -> Array:
        """Return minus the inverse Hessian's estimate times ``gradient``, ``(members, outputs, coordinates)``."""
        import numpy as np

        descent = gradient.copy()
        coefficients = []
        for step, change, inverse in reversed(self._pairs):
            coefficient = inverse * _dots(step, descent)
            descent -= coefficient[:, None, None] * change
            coefficients.append(coefficient)
        if self._pairs:
            _, change, inverse = self._pairs[-1]
            squares = inverse * _dots(change, change)
            descent /= np.where(squares > 0, squares, 1.0)[:, None, None]
        for (step, change, inverse), coefficient in zip(self._pairs, reversed(coefficients), strict=True):
            descent += (coefficient - inverse * _dots(change, descent))[:, None, None] * step
        return -descent

    def add(self, step: Array, change: Array) -> None:
        """Remember a step and the change of the gradient over it; the oldest is forgotten."""
        import numpy as np

        curvature = _dots(step, change)
        sound = curvature > _LEAST_CURVATURE * np.sqrt(_dots(step, step) * _dots(change, change))
        inverse = np.where(sound, 1 / np.where(sound, curvature, 1.0), 0.0)
        self._pairs = [*self._pairs[-self._size + 1 :], (step, change, inverse)]

    def keep(self, members: Array) -> None:
        """Keep only the problems where ``members``, a bool for each, is set."""
        self._pairs = [(step[members], change[members], inverse[members]) for step, change, inverse in self._pairs]


def _dots(first: Array, second: Array) -> Array:
    import numpy as np

    products: Array = np.einsum("moc,moc->m", first, second)
    return products

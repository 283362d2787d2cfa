"""Logits of many linear classifiers on the same rows: their log losses' gradients, and line searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.rows import spans

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_SLOPE = 0.2
"""A line search ends where the slope is at most this share of the initial one."""
_TRIALS = 20
"""Of a line search; Newton's method needs one to three."""
_FURTHEST = 10.0
"""Times the last length that a line search may go at once."""


class Logits:
    """The logits of ``members`` classifiers on all rows, ``(members, outputs, n)``, moved along line searches.

    ``of_set`` tells each member's set; ``sums`` are the sets' mean features of each output's class, with its share
    last: the part of the loss that is linear in the weights.
    """

    def __init__(self, features: Array, rows: Array, counts: Array, sums: Array, of_set: Array, weights: Array) -> None:
        import numpy as np

        self._features = features
        self._kept = rows.astype(features.dtype)
        self._counts = counts.astype(np.float64)
        self._sums = sums
        self._of_set = of_set
        self._values = self._products(weights)

    def keep(self, members: Array) -> None:
        """Keep only the classifiers where ``members``, a bool for each, is set."""
        self._of_set = self._of_set[members]
        self._values = self._values[members]

    def gradient(self) -> Array:
        """Return the mean log loss's gradient, ``(members, outputs, width + 1)``, that of the biases last."""
        import numpy as np

        members, outputs, n = self._values.shape
        width = self._features.shape[1]
        gradients = np.zeros((members * outputs, width + 1))
        for span in spans(n, members * outputs):
            shares = _probabilities(self._values[:, :, span].copy())
            shares *= self._kept[self._of_set, None, span]
            flat = shares.reshape(members * outputs, -1)
            gradients[:, :-1] += flat @ self._features[span]
            gradients[:, -1] += flat.sum(axis=1)
        gradient = gradients.reshape(members, outputs, width + 1)
        gradient /= self._counts[self._of_set, None, None]
        gradient -= self._sums[self._of_set]
        return gradient

    def search(self, direction: Array, slopes: Array, offsets: Array, curvatures: Array) -> Array:
        """Go along ``direction``, ``(members, outputs, width + 1)``, and return how far each member went.

        ``slopes`` are the initial ones, of the loss with its penalty; the penalty's own slope along the direction is
        ``offsets + length * curvatures``. The loss is convex along a line, so its slope alone, which unlike its value
        is not drowned by rounding, tells where to stop: Newton's method finds its root, kept in a bracket.
        """
        import numpy as np

        products = self._products(direction)
        linear = (self._sums[self._of_set] * direction).sum(axis=(1, 2))
        members = len(direction)
        lengths, low, high = np.ones(members), np.zeros(members), np.full(members, np.inf)
        open_ = np.arange(members)
        for _ in range(_TRIALS):
            first, second = self._slopes(products, lengths, open_)
            first += (offsets - linear)[open_] + lengths[open_] * curvatures[open_]
            second += curvatures[open_]
            short = first < 0
            low[open_] = np.where(short, lengths[open_], low[open_])
            high[open_] = np.where(short, high[open_], lengths[open_])
            further = np.abs(first) > _SLOPE * np.abs(slopes[open_])
            if not further.any():
                break
            open_, first, second = open_[further], first[further], second[further]
            at = lengths[open_]
            aim = at - first / np.maximum(second, np.finfo(float).tiny)
            aim = np.minimum(aim, _FURTHEST * at)
            inside = (aim > low[open_]) & (aim < high[open_])
            middle = np.where(np.isfinite(high[open_]), (low[open_] + high[open_]) / 2, _FURTHEST * at)
            lengths[open_] = np.where(inside, aim, middle)
        self._move(products, lengths)
        return lengths

    def _products(self, weights: Array) -> Array:
        import numpy as np

        members, outputs, _ = weights.shape
        flat = weights.reshape(members * outputs, -1).astype(self._features.dtype)
        products = np.empty((members * outputs, len(self._features)), dtype=self._features.dtype)
        for span in spans(len(self._features), members * outputs):
            np.matmul(flat[:, :-1], self._features[span].T, out=products[:, span])
            products[:, span] += flat[:, -1:]
        return products.reshape(members, outputs, -1)

    def _slopes(self, products: Array, lengths: Array, members: Array) -> tuple[Array, Array]:
        """Return the first and second derivative along the direction, of the loss's part that is not linear."""
        import numpy as np

        _, outputs, n = self._values.shape
        whole = len(members) == len(self._values)
        steps = lengths[members].astype(products.dtype)[:, None, None]
        first, second = np.zeros(len(members)), np.zeros(len(members))
        for span in spans(n, len(members) * outputs):
            in_set = self._kept[self._of_set[members], span]
            along = products[:, :, span] if whole else products[members, :, span]
            values = along * steps
            values += self._values[:, :, span] if whole else self._values[members, :, span]
            shares = _probabilities(values)
            shares *= along
            mean = shares.sum(axis=1)
            shares *= along
            first += np.einsum("mr,mr->m", mean, in_set)
            mean *= mean
            if outputs > 1:
                second += np.einsum("mor,mr->m", shares, in_set) - np.einsum("mr,mr->m", mean, in_set)
            else:
                second += np.einsum("mr,mr->m", shares[:, 0] - mean, in_set)
        counts = self._counts[self._of_set[members]]
        return first / counts, second / counts

    def _move(self, products: Array, lengths: Array) -> None:
        products *= lengths.astype(products.dtype)[:, None, None]
        self._values += products


def _probabilities(logits: Array) -> Array:
    """Turn ``(members, outputs, rows)`` logits into probabilities, in place: softmax, or sigmoid of one output."""
    import numpy as np

    if logits.shape[1] == 1:
        logits *= 0.5
        np.tanh(logits, out=logits)
        logits *= 0.5
        logits += 0.5
        return logits
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits

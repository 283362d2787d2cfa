"""What a probe is to predict, classes or values: how it is fitted, what its loss is, what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from holdfast.collapse.probes.linear import LinearFits
from holdfast.collapse.probes.logistic import fit_logistic
from holdfast.collapse.probes.ridge import fit_ridge

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Targets(Protocol):
    """Labels of the training rows."""

    strata: Array
    """``(n,)`` integers: rows held out are in proportion to each."""

    def fit(self, features: Array, strengths: Array, rows: Array) -> LinearFits:
        """Return models of ``(sets, n)`` rows x strengths."""

    def losses(self, outputs: Array, chosen: Array) -> Array:
        """Return ``(strengths, rows)`` losses of ``(strengths, rows, outputs)`` on the rows numbered ``chosen``."""

    def predictions(self, outputs: Array) -> Array:
        """Return what is scored, of ``(rows, outputs)``."""


class Values:
    """Floats ``(n,)``: ridge regression, scored by its outputs."""

    def __init__(self, labels: Array) -> None:
        import numpy as np

        self._labels = labels
        self.strata = np.zeros(len(labels), dtype=np.int64)

    def fit(self, features: Array, strengths: Array, rows: Array) -> LinearFits:
        """Return ridge regressions."""
        return fit_ridge(features, self._labels, strengths, rows)

    def losses(self, outputs: Array, chosen: Array) -> Array:
        """Return squared errors."""
        errors: Array = outputs[:, :, 0] - self._labels[chosen]
        return errors**2

    def predictions(self, outputs: Array) -> Array:
        """Return the values, ``(rows,)``."""
        values: Array = outputs[:, 0]
        return values


class Classes:
    """Class indices ``(n,)`` below ``classes``: logistic regression of those that occur, scored by its logits."""

    def __init__(self, labels: Array, classes: int) -> None:
        import numpy as np

        self._classes = classes
        self._present, self.strata = np.unique(labels, return_inverse=True)

    def fit(self, features: Array, strengths: Array, rows: Array) -> LinearFits:
        """Return logistic regressions; where one class occurs there is nothing to learn, and the weights are zero."""
        import numpy as np

        if len(self._present) == 1:
            grid = len(rows), len(strengths)
            return LinearFits(np.zeros((*grid, 1, features.shape[1])), np.zeros((*grid, 1)), np.ones(grid, dtype=bool))
        return fit_logistic(features, self.strata, len(self._present), strengths, rows)

    def losses(self, outputs: Array, chosen: Array) -> Array:
        """Return log losses."""
        import numpy as np

        logits = self._of_each_class(outputs)
        logits = logits - logits.max(axis=2, keepdims=True)
        of_label = np.take_along_axis(logits, self.strata[chosen][None, :, None], axis=2)[:, :, 0]
        losses: Array = np.log(np.exp(logits).sum(axis=2)) - of_label
        return losses

    def predictions(self, outputs: Array) -> Array:
        """Return logits, ``(rows, classes)``; those of classes that do not occur are below all others."""
        import numpy as np

        logits = self._of_each_class(outputs)
        predictions = np.repeat(logits.min(axis=1, keepdims=True) - 1, self._classes, axis=1)
        predictions[:, self._present] = logits
        return predictions

    def _of_each_class(self, outputs: Array) -> Array:
        """Return a logit of each class that occurs, along the last axis; two have one output, of the second."""
        import numpy as np

        return np.concatenate([np.zeros_like(outputs), outputs], axis=-1) if len(self._present) == 2 else outputs

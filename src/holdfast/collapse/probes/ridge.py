"""Ridge regression: many strengths and many sets of rows, from one eigendecomposition a set.

A member of the grid is a set of rows S and a strength ``lam``. Its weights w and bias b minimise

    1/(2|S|) sum over i in S of (w x_i + b - y_i)^2  +  lam/2 ||w||^2

with no penalty on the bias. That is scikit-learn's ``Ridge`` with ``alpha = lam |S|``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.linear import LinearFits
from holdfast.collapse.probes.rows import spans

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def fit_ridge(features: Array, targets: Array, strengths: Array, rows: Array) -> LinearFits:
    """Fit the whole grid of ``sets`` x ``strengths``, in float64.

    ``features`` ``(n, width)``, best centred; ``targets`` ``(n,)``; ``strengths`` ``(strengths,)`` positive; ``rows``
    ``(sets, n)`` bool, no set empty. The features are read once for all rows and once for those that each set lacks;
    working memory is that of some ``(width, width)`` matrices.
    """
    import numpy as np

    middle = targets.mean()
    whole = _moments(features, targets - middle, np.ones(len(features), dtype=bool))
    weights, biases = [], []
    for chosen in rows:
        moments = whole - _moments(features, targets - middle, ~chosen)
        moments /= moments[-1, -1]
        means, target = moments[-1, :-2], moments[-1, -2]
        variances, axes = np.linalg.eigh(moments[:-2, :-2] - np.outer(means, means))
        along = (moments[-2, :-2] - means * target) @ axes
        # Rounding leaves eigenvalues just below zero.
        solutions = (along / (np.maximum(variances, 0.0) + np.asarray(strengths)[:, None])) @ axes.T
        weights.append(solutions)
        biases.append(middle + target - solutions @ means)
    return LinearFits(
        np.stack(weights)[:, :, None], np.stack(biases)[:, :, None], np.ones((len(rows), len(strengths)), dtype=bool)
    )


def _moments(features: Array, targets: Array, kept: Array) -> Array:
    """Return sums of the products of features, target and one, each with each, over the rows that are kept."""
    import numpy as np

    width = features.shape[1]
    moments = np.zeros((width + 2, width + 2))
    for span in spans(len(features), width):
        chosen = kept[span]
        count = int(chosen.sum())
        joined = np.column_stack([features[span][chosen], targets[span][chosen], np.ones(count)]).astype(np.float64)
        moments += joined.T @ joined
    return moments

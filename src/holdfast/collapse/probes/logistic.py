"""Multinomial logistic regression with an L2 penalty: many strengths and many sets of rows, solved together.

A member of the grid is a set of rows S and a strength ``lam``. Its weights W and biases b minimise

    1/|S| sum over i in S of -log softmax(W x_i + b)[y_i]  +  lam/2 ||W||^2

with no penalty on the biases. Two classes have one logit, of class 1. That is scikit-learn's ``LogisticRegression``
with ``C = 1 / (lam |S|)``.

Boehning's bound of the Hessian (Annals of the Institute of Statistical Mathematics 44, 1992), 1/4 of the features'
second moment for one logit and 1/2 for softmax, has the same eigenvectors for every member. In their coordinates it is
diagonal whatever the strength, and scaled by its root no member's Hessian much exceeds the identity: well enough
conditioned for L-BFGS to take some tens of steps. A step reads the features twice for all members at once, as two
matrix products; the logits along the direction are kept, so the line search does not read them at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.limited_memory import History
from holdfast.collapse.probes.linear import LinearFits
from holdfast.collapse.probes.logits import Logits
from holdfast.collapse.probes.rows import spans

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_MEMORY = 20
"""Steps that L-BFGS remembers."""
_SAMPLE = 8
"""Rows a feature that the second moment is estimated from: a preconditioner need not be exact."""
_SPARE = 1 << 27
"""Numbers of four bytes that may be held beside one copy of the features."""


def fit_logistic(
    features: Array,
    labels: Array,
    classes: int,
    strengths: Array,
    rows: Array,
    *,
    tolerance: float = 1e-5,
    max_steps: int = 300,
) -> LinearFits:
    """Fit the whole grid of ``sets`` x ``strengths``; deterministic.

    ``features`` ``(n, width)``, float32 or float64, which the large products are then computed in; best centred, with
    variances near 1. ``labels`` ``(n,)`` integers below ``classes`` (at least 2). ``strengths`` ``(strengths,)``
    positive. ``rows`` ``(sets, n)`` bool, no set empty, and no class without a row in each: an absent class's bias
    would have no finite optimum.

    A member has converged, and is left alone, when no entry of its gradient exceeds ``tolerance``: by default a tenth
    of scikit-learn's, not far above what float32 resolves. Beside the features, working memory is at most another copy
    of them and 0.5 GB (1 GB in float64), or what a single member needs.
    """
    import numpy as np

    sets, outputs = len(rows), 1 if classes == 2 else classes
    members = sets * len(strengths)
    of_set = np.repeat(np.arange(sets), len(strengths))
    penalties = np.tile(np.asarray(strengths, dtype=np.float64), sets)
    problem = _Problem(features, labels, classes, rows)
    weights = np.zeros((members, outputs, features.shape[1] + 1))
    weights[:, :, -1] = problem.prior_logits()[of_set]
    converged = np.zeros(members, dtype=bool)
    n, width = features.shape
    # An output has its logits, those along the direction, a copy while members are dropped, and its history.
    column = 3 * n + 5 * _MEMORY * width
    together = max(1, (n * width + _SPARE) // column // outputs)
    for first in range(0, members, together):
        block = slice(first, first + together)
        solved = _solve(problem, of_set[block], penalties[block], weights[block], tolerance, max_steps)
        weights[block], converged[block] = solved
    grid = sets, len(strengths)
    return LinearFits(
        weights[:, :, :-1].reshape(*grid, outputs, -1),
        weights[:, :, -1].reshape(*grid, outputs),
        converged.reshape(grid),
    )


class _Problem:
    """What the members share: the features, the sets' rows and classes, and the axes of the second moment."""

    def __init__(self, features: Array, labels: Array, classes: int, rows: Array) -> None:
        import numpy as np

        self.features = features
        self.rows = rows
        counts = rows.sum(axis=1)
        n, width = features.shape
        # The labels enter the loss only by the sums of their rows' features, (sets, outputs, width + 1).
        self.sums = np.zeros((len(rows), classes, width + 1))
        for span in spans(n, width):
            one_hot = (labels[span, None] == np.arange(classes)).astype(np.float64)
            for index, kept in enumerate(rows[:, span]):
                chosen = one_hot * kept[:, None]
                self.sums[index, :, :-1] += chosen.T @ features[span].astype(np.float64)
                self.sums[index, :, -1] += chosen.sum(axis=0)
        self.sums /= counts[:, None, None]
        self.shares = self.sums[:, :, -1]
        if classes == 2:
            self.sums = self.sums[:, 1:]
        self.counts = counts
        self.bound = 0.25 if classes == 2 else 0.5
        self.variances, self.axes = _axes(features)

    def prior_logits(self) -> Array:
        """Return the biases, ``(sets, outputs)``, that predict each class's share in the set."""
        import numpy as np

        logs = np.log(self.shares)
        if logs.shape[1] == 2:
            return logs[:, 1:] - logs[:, :1]
        centred: Array = logs - logs.mean(axis=1, keepdims=True)
        return centred


def _axes(features: Array) -> tuple[Array, Array]:
    """Return second moments along the features' principal axes, ``(width,)``, and the axes, ``(width, width)``."""
    import numpy as np

    n, width = features.shape
    sample = features[:: max(1, n // (_SAMPLE * width))]
    variances, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64) / len(sample))
    return np.maximum(variances, 0.0), axes


def _solve(
    problem: _Problem, of_set: Array, penalties: Array, weights: Array, tolerance: float, max_steps: int
) -> tuple[Array, Array]:
    """Return the members' weights, with the biases last, and whether each converged."""
    import numpy as np

    solution, converged = weights.copy(), np.zeros(len(weights), dtype=bool)
    # Weights w are the axes times ``scale`` times the coordinates that L-BFGS works in.
    scale = np.concatenate(
        [
            1 / np.sqrt(problem.bound * problem.variances + penalties[:, None]),
            np.full((len(weights), 1), problem.bound**-0.5),
        ],
        axis=1,
    )[:, None, :]
    members = np.arange(len(weights))
    logits = Logits(problem.features, problem.rows, problem.counts, problem.sums, of_set, weights)
    history = History(_MEMORY)
    gradient = logits.gradient() + _penalty(penalties, weights)
    for step in range(max_steps + 1):
        size = np.abs(gradient).max(axis=(1, 2))
        done = (size <= tolerance) | (step == max_steps)
        if done.any():
            ended, keep = members[done], ~done
            solution[ended], converged[ended] = weights[done], size[done] <= tolerance
            if done.all():
                break
            members, penalties, weights, scale = members[keep], penalties[keep], weights[keep], scale[keep]
            gradient = gradient[keep]
            logits.keep(keep)
            history.keep(keep)
        inner = _times(gradient, problem.axes) * scale
        heading = history.direction(inner)
        direction = _times(heading * scale, problem.axes.T)
        lengths = logits.search(
            direction,
            slopes=(gradient * direction).sum(axis=(1, 2)),
            offsets=(_penalty(penalties, weights) * direction).sum(axis=(1, 2)),
            curvatures=(_penalty(penalties, direction) * direction).sum(axis=(1, 2)),
        )[:, None, None]
        weights = weights + lengths * direction
        gradient = logits.gradient() + _penalty(penalties, weights)
        history.add(lengths * heading, _times(gradient, problem.axes) * scale - inner)
    return solution, converged


def _penalty(penalties: Array, weights: Array) -> Array:
    """Return the penalty's gradient: no strength on the biases."""
    product: Array = penalties[:, None, None] * weights
    product[:, :, -1] = 0.0
    return product


def _times(values: Array, matrix: Array) -> Array:
    """Return all but the biases, which are an axis of their own, times ``matrix``.

    The axes give the coordinates of a gradient along them, their transpose the weights that have coordinates.
    """
    products = values.copy()
    # One product of all rows: NumPy would do a small one for each member.
    products[:, :, :-1] = (values[:, :, :-1].reshape(-1, len(matrix)) @ matrix).reshape(*values.shape[:2], -1)
    return products

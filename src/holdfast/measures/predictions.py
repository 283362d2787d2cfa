"""How much the predictions of several runs differ, whatever their scores: three measures.

They are the ones that Du & Nguyen (ACL 2023, arXiv 2302.07778) measure the instability of fine-tuning by.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.errors import HoldfastError

Counts = NDArray[np.float64]
"""How many runs put each row into each class, (rows, classes)."""


def pairwise_disagreement(labels: ArrayLike) -> float:
    """Return the share of rows that two runs put into different classes, the mean over all pairs of runs.

    ``labels``: predicted classes as whole numbers from 0, (runs, rows), at least two runs. Between 0 and 1. Raises
    ``HoldfastError``.
    """
    return 1 - _agreement(_counts(labels))


def fleiss_kappa(labels: ArrayLike) -> float:
    """Return Fleiss' kappa (1971) of the runs as raters: agreement beyond what their class shares alone would give.

    ``labels``: as for ``pairwise_disagreement``; any number of classes. 1 when all runs always agree, 0 when they
    agree as often as by chance, negative when less often; Du & Nguyen's instability is 1 - kappa. Where every run
    gives every row the same class, kappa is 0/0, and 1 is returned: nothing disagrees. Raises ``HoldfastError``.
    """
    counts = _counts(labels)
    shares = counts.sum(axis=0) / counts.sum()
    by_chance = float((shares**2).sum())
    # One class throughout: counts are whole numbers, so this is exact.
    if (counts.sum(axis=0) > 0).sum() == 1:
        return 1.0
    return (_agreement(counts) - by_chance) / (1 - by_chance)


def jensen_shannon(probabilities: ArrayLike) -> float:
    """Return the Jensen-Shannon divergence of two runs' predictions, the mean over rows and over all pairs of runs.

    ``probabilities``: (runs, rows, classes), each row summing to 1, at least two runs. In nats, between 0 and ln 2;
    it is the divergence 1/2 KL(p, m) + 1/2 KL(q, m) with m = (p + q)/2, not its square root, the distance. Raises
    ``HoldfastError``.
    """
    given = np.asarray(probabilities, dtype=np.float64)
    if given.ndim != 3 or len(given) < 2 or 0 in given.shape:
        raise HoldfastError(
            f"probabilities have shape {given.shape}: give (runs, rows, classes) of at least two runs and one row"
        )
    if not np.isfinite(given).all() or given.min() < 0 or abs(given.sum(axis=-1) - 1).max() > 1e-4:
        raise HoldfastError("probabilities of a row must be at least 0 and sum to 1; apply a softmax to logits first")
    entropies = _entropy(given)
    total = 0.0
    for first in range(len(given) - 1):
        middles = _entropy((given[first] + given[first + 1 :]) / 2)
        total += float((middles - (entropies[first] + entropies[first + 1 :]) / 2).mean(axis=-1).sum())
    pairs = len(given) * (len(given) - 1) / 2
    # Rounding makes the divergence of equal rows a little less than 0.
    return max(0.0, total / pairs)


def _entropy(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    # 0 log 0 is 0, and the smallest positive number stands in for 0 inside the logarithm only.
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    return np.asarray(-(probabilities * logarithms).sum(axis=-1))


def _counts(labels: ArrayLike) -> Counts:
    given = np.asarray(labels)
    if given.ndim != 2 or len(given) < 2 or given.shape[1] == 0:
        raise HoldfastError(
            f"predicted classes have shape {given.shape}: give (runs, rows) of at least two runs and one row"
        )
    if not np.issubdtype(given.dtype, np.integer) or given.min() < 0:
        raise HoldfastError("predicted classes must be whole numbers from 0; take the argmax of logits first")
    rows = given.shape[1]
    counts = np.zeros((rows, int(given.max()) + 1))
    for run in given:
        counts[np.arange(rows), run] += 1
    return counts


def _agreement(counts: Counts) -> float:
    """Return the share of pairs of runs that agree, the mean over rows."""
    runs = counts[0].sum()
    return float(((counts**2).sum(axis=1) - runs).mean() / (runs * (runs - 1)))

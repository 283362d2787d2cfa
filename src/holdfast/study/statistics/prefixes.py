"""A sequence of paired differences after 1, 2, 3, ... seeds: mean, spread and t test of every prefix."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Prefixes:
    """What the first n differences come to, for every n."""

    n: NDArray[np.float64]
    """1, 2, ..., N. Shape (N,)."""
    mean: NDArray[np.float64]
    """Shape (..., N)."""
    squares: NDArray[np.float64]
    """Sum of squared deviations from the mean, at least that of rounding. Shape (..., N)."""

    @property
    def rest(self) -> NDArray[np.float64]:
        """1 - t^2 / (df + t^2), the share of sum(d^2) that is not the mean's. Shape (..., N).

        0 where all differences are equal. Where all are 0 the share could be anything; 1 is on the safe side.
        """
        total = self.squares + self.n * self.mean**2
        return np.divide(self.squares, total, out=np.ones_like(total), where=total > 0)


def prefixes(differences: ArrayLike, step: float = 0.0) -> Prefixes:
    """Return the running mean and sum of squares of ``differences``, shape (..., N), along the last axis.

    ``step`` is the smallest change of a score. The variance is then at least step squared over 6, that of the
    rounding of two scores, as in ``gap_variance``: seeds that agree exactly still hide that much. Raises ValueError
    for no differences, for differences that are not finite, and for a negative step.
    """
    gaps = np.asarray(differences, dtype=float)
    if gaps.ndim == 0 or gaps.shape[-1] == 0:
        raise ValueError("a sequence needs at least 1 difference")
    if not np.isfinite(gaps).all():
        raise ValueError("differences must be finite: count a run without a score as failed")
    if not 0 <= step < np.inf:
        raise ValueError("the score step must not be negative")
    n = np.arange(1.0, gaps.shape[-1] + 1)
    mean = gaps.cumsum(axis=-1) / n
    # Welford's update: every term is positive, so nothing cancels where the spread is small beside the mean.
    before = np.concatenate([gaps[..., :1], mean[..., :-1]], axis=-1)
    squares = ((gaps - before) ** 2 * (n - 1) / n).cumsum(axis=-1)
    return Prefixes(n, mean, np.maximum(squares, (n - 1) * step**2 / 6))


def prefix_p_values(differences: ArrayLike, step: float = 0.0) -> NDArray[np.float64]:
    """Return the two-sided p of the paired t test of every prefix, shape (..., N) as ``differences``.

    1 after one difference, which has no spread, and where all are 0; 0 where all are equal, not 0, and ``step`` is 0.
    Raises ValueError as ``prefixes``.
    """
    runs = prefixes(differences, step)
    p_values = np.ones_like(runs.mean)
    # Under no difference the rest follows Beta(df/2, 1/2): the t test without a division by the spread.
    p_values[..., 1:] = scipy.special.betainc((runs.n[1:] - 1) / 2, 0.5, runs.rest[..., 1:])
    return p_values

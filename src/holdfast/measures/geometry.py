"""How many directions a representation uses, and how much its rows point one way: measures that need no labels.

Of one matrix (rows, width) each. Where tuning makes a representation collapse, few directions are left or all rows
turn into one; what counts is the change against the pre-trained model on the same rows, as models differ in where they
start.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.errors import HoldfastError
from holdfast.measures.representations import LEAST_ROWS, varies

_SMALLEST = 1e-6
"""Singular values below this share of the largest are rounding, as they are found through their squares."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """All measures of one representation."""

    effective_rank: float
    participation_ratio: float
    mean_cosine: float | None
    """None where a row is zero, which has no direction."""


def geometry(x: ArrayLike) -> Geometry:
    """Return all measures of a representation, (rows, width), from one decomposition.

    Raises ``HoldfastError`` as ``effective_rank``.
    """
    rows = _checked(x)
    sizes = _singular_values(rows)
    return Geometry(_effective_rank(sizes), _participation_ratio(sizes), _mean_cosine(rows))


def effective_rank(x: ArrayLike) -> float:
    """Return the effective rank of a representation, (rows, width), centred: exp(- sum p log p).

    p are the singular values divided by their sum (Roy & Vetterli, EUSIPCO 2007). Between 1, all rows on one line, and
    min(rows - 1, width), equally far in all directions that the rows can span: few rows cap it, so values are only
    comparable over the same rows. Not changed by rotating the representation, shifting it, scaling it or reordering
    the rows. Never below ``participation_ratio``, which large directions weigh more in.

    Many small directions count for a lot: 512 rows on one line plus noise of a tenth of it in each of 384 directions
    have an effective rank of 75 and a participation ratio of 1.02. Rounding to float16 is such noise too, but adds no
    more than some percent, and that only to ranks near 1.

    Raises ``HoldfastError`` for fewer than 4 rows, values that are not finite, and a representation that is the same
    for every row.
    """
    return _effective_rank(_singular_values(_checked(x)))


def participation_ratio(x: ArrayLike) -> float:
    """Return the participation ratio of a representation, (rows, width): (sum of v)^2 / sum of v^2.

    v are the eigenvalues of the covariance over the rows. Its range and what does not change it are those of
    ``effective_rank``: 1 to min(rows - 1, width), k where the variance lies in k directions alike. Raises
    ``HoldfastError`` as ``effective_rank``.
    """
    return _participation_ratio(_singular_values(_checked(x)))


def mean_cosine(x: ArrayLike) -> float:
    """Return the mean cosine between two different rows of a representation, (rows, width), not centred.

    The anisotropy of Ethayarajh (EMNLP 2019): between -1 / (rows - 1) and 1; 0 for rows that point everywhere alike,
    towards 1 the more all point one way. Not changed by rotating the representation, scaling it, even row by row, or
    reordering the rows; shifting it does. In time rows x width, over all pairs. Raises ``HoldfastError`` as
    ``effective_rank``, and for a row of zeros, which has no direction.
    """
    rows = _checked(x)
    cosine = _mean_cosine(rows)
    if cosine is None:
        at = int(np.flatnonzero(~rows.any(axis=1))[0])
        raise HoldfastError(f"row {at} of the representation is zero and has no cosine: leave such rows out")
    return cosine


def _effective_rank(sizes: Matrix) -> float:
    shares = sizes / sizes.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _participation_ratio(sizes: Matrix) -> float:
    variances = sizes**2
    return float(variances.sum() ** 2 / (variances**2).sum())


def _mean_cosine(rows: Matrix) -> float | None:
    # The largest value of a row first: squares of tiny ones would vanish.
    largest = np.abs(rows).max(axis=1, keepdims=True)
    if not largest.all():
        return None
    scaled = rows / largest
    directions = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    # The squared length of the sum is the sum over all pairs, each row with itself among them.
    total = directions.sum(axis=0)
    n = len(rows)
    return float((total @ total - n) / (n * (n - 1)))


def _singular_values(rows: Matrix) -> Matrix:
    """Of the centred matrix, scaled, without those that are zero but for rounding."""
    # Divided first, so that neither the mean nor a square overflows.
    scaled = rows / np.abs(rows).max()
    centred = scaled - scaled.mean(axis=0)
    centred /= np.abs(centred).max()
    # By the smaller Gram matrix: a third of the time of a singular value decomposition.
    wide = centred.shape[1] > len(centred)
    values = np.linalg.eigvalsh(centred @ centred.T if wide else centred.T @ centred)
    nonzero = values[values > _SMALLEST**2 * values[-1]]
    return np.asarray(np.sqrt(nonzero))


def _checked(given: ArrayLike) -> Matrix:
    x: NDArray[Any] = np.asarray(given)
    if x.ndim != 2 or x.shape[1] == 0 or not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise HoldfastError(
            f"the representation is {x.dtype} of shape {x.shape}: give a matrix of numbers, (rows, width)"
        )
    if len(x) < LEAST_ROWS:
        raise HoldfastError(f"the representation has {len(x)} rows: it is measured over at least {LEAST_ROWS}")
    real = x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)
    if not np.isfinite(real).all():
        raise HoldfastError("the representation has values that are not finite: leave such rows out")
    if not varies(real):
        raise HoldfastError("the representation is the same for every row, so it has no rank: take another layer")
    return real.astype(np.float64)

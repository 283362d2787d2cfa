"""How alike two representations of the same rows are, and how far several runs' lie apart on average.

Three similarities of matrices (rows, width), each between 0 and 1 up to estimation noise, none of them changed by
rotating a representation, shifting it or scaling it; the distances are 1 minus them, as Du & Nguyen (ACL 2023,
arXiv 2302.07778) use them between fine-tuned runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from holdfast.errors import HoldfastError

LEAST_ROWS = 4
"""The unbiased estimator divides by rows - 3."""
ALL_PAIRS = 10
"""Runs of which all pairs are compared."""
MOST_PAIRS = 24
"""Of more runs than these: the time grows with the pairs, the precision of their mean hardly does."""
_SMALLEST = 1e-6
"""Singular values below this share of the largest are rounding, as they are found through their squares."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RepresentationDistances:
    """Means over pairs of runs; 0 is alike."""

    cka: float
    """1 - ``linear_cka``."""
    svcca: float
    """1 - ``svcca_similarity``."""
    procrustes: float
    """1 - ``procrustes_similarity``."""


def linear_cka(x: ArrayLike, y: ArrayLike) -> float:
    """Return the linear centred kernel alignment of two representations, (rows, width) each; widths may differ.

    Kornblith et al. (ICML 2019), with HSIC estimated without bias (Song et al., JMLR 2012): the biased estimate
    calls unrelated representations alike where the width is not far below the rows. At most 1; near 0, and as often
    a little below, for unrelated ones; 0 where all rows of one are equally far apart, which gives nothing to align.
    Raises ``HoldfastError`` for fewer than 4 rows, rows that do not match,
    values that are not finite, and a representation that is the same for every row.
    """
    one, other = (_unit(part) for part in _pair(x, y))
    return float(np.vdot(_hsic_kernel(one @ one.T), _hsic_kernel(other @ other.T)))


def svcca_similarity(x: ArrayLike, y: ArrayLike, share: float = 0.99) -> float:
    """Return the mean canonical correlation of two representations of the same rows.

    Raghu et al. (NeurIPS 2017): of each centred representation the fewest singular directions are retained whose
    singular values make up ``share`` of their sum; the mean is over as many correlations as the smaller of the two
    subspaces has dimensions. Few rows inflate correlations: unrelated normal representations of r directions over n
    rows come to about 0.3 at n = 10 r, 0.4 at 4 r, 0.6 at 2 r and 1 at r, so below about ten rows a retained direction
    values can only be compared with each other.

    Args:
        x: (rows, width) representation.
        y: (rows, width) representation; its width may differ.
        share: Of the sum of the singular values, to be retained; above 0 and up to 1.

    Raises:
        HoldfastError: As in ``linear_cka``, and for a share out of range.
    """
    _check_share(share)
    one, other = _pair(x, y)
    return _svcca(_Prepared.of(one, share), _Prepared.of(other, share))


def procrustes_similarity(x: ArrayLike, y: ArrayLike) -> float:
    """Return how well the best rotation carries one representation, (rows, width), into the other.

    The nuclear norm of X^T Y, each centred and of Frobenius norm 1 (Schönemann 1966; Ding et al., NeurIPS 2021):
    min over rotations R of |X R - Y|^2 is 2 minus twice this. Widths may differ: the narrower one is padded with
    zeros. With rows up to about the width, unrelated representations can be rotated far into each other too.
    Raises ``HoldfastError`` as ``linear_cka``.
    """
    one, other = _pair(x, y)
    return _procrustes(_Prepared.of(one), _Prepared.of(other))


def pairwise_representations(runs: Sequence[ArrayLike], share: float = 0.99) -> RepresentationDistances:
    """Return the mean distances between the representations of at least two runs, (rows, width) each.

    Over all pairs of up to ten runs; of more, to save time (ours), every run with its next one, or two up to twelve
    runs, on the circle in which the runs are given. What belongs to one run is computed once. Raises
    ``HoldfastError`` as ``linear_cka``.
    """
    if len(runs) < 2:
        raise HoldfastError(f"representations of {len(runs)} runs: distances need at least two")
    given = [_checked(np.asarray(run), f"representation {i}") for i, run in enumerate(runs, 1)]
    for i, run in enumerate(given[1:], 2):
        _match(given[0], run, f"representation {i}")
    _check_share(share)
    prepared = [_Prepared.of(run, share) for run in given]
    pairs = [(prepared[a], prepared[b]) for a, b in _pairs(len(prepared))]
    return RepresentationDistances(
        cka=1 - fmean(float(np.vdot(one.kernel, other.kernel)) for one, other in pairs),
        svcca=1 - fmean(_svcca(one, other) for one, other in pairs),
        procrustes=1 - fmean(_procrustes(one, other) for one, other in pairs),
    )


def varies(x: NDArray[Any]) -> bool:
    """Return whether the rows of a representation differ by more than rounding in its own precision.

    The first token's embedding does not, for one: it is the same in every text.
    """
    own, single = np.finfo(x.dtype).eps, np.finfo(np.float32).eps
    wide = x.astype(np.float64)
    low, high = wide.min(axis=0), wide.max(axis=0)
    sizes = np.maximum(-low, high)
    # What was computed in single precision keeps its rounding, whatever it is stored in.
    rounding = 8 * (own * sizes + min(own, single) * sizes.max())
    return bool((high - low > rounding).any())


@dataclass(frozen=True)
class _Prepared:
    """What belongs to one representation alone, centred and of Frobenius norm 1."""

    kernel: Matrix
    """Gram matrix for the unbiased estimate of HSIC, (rows, rows), of Frobenius norm 1."""
    rows: Matrix
    """Left singular vectors, (rows, rank)."""
    sizes: Matrix
    """Singular values, falling, (rank,)."""
    retained: int
    """How many directions hold ``share`` of the sum of the singular values."""
    rest: Matrix | None
    """A basis of all that is orthogonal to those directions, (rows, rows - retained), where it came for nothing."""

    @classmethod
    def of(cls, x: Matrix, share: float = 0.99) -> "_Prepared":
        centred = _unit(x)
        gram = centred @ centred.T
        # By the smaller Gram matrix: a third of the time of a singular value decomposition.
        wide = centred.shape[1] > len(centred)
        values, vectors = np.linalg.eigh(gram if wide else centred.T @ centred)
        values, vectors = values[::-1], vectors[:, ::-1]
        rank = int((values > _SMALLEST**2 * values[0]).sum())
        sizes = np.sqrt(values[:rank])
        cumulative = np.cumsum(sizes)
        retained = int(np.searchsorted(cumulative, share * cumulative[-1] * (1 - 1e-12)) + 1)
        rows = vectors[:, :rank] if wide else centred @ vectors[:, :rank] / sizes
        return cls(_hsic_kernel(gram), rows, sizes, retained, vectors[:, retained:] if wide else None)


def _unit(x: Matrix) -> Matrix:
    centred = x - x.mean(axis=0)
    return np.asarray(centred / np.linalg.norm(centred))


def _svcca(one: _Prepared, other: _Prepared) -> float:
    if one.rest is not None and other.rest is not None:
        # Two subspaces of R^n and what is orthogonal to them have the same angles but for those of 0 degrees; few
        # directions are left out where rows are fewer than dimensions.
        total = _nuclear_norm(one.rest.T @ other.rest) + one.retained + other.retained - len(one.rest)
    else:
        total = _nuclear_norm(one.rows[:, : one.retained].T @ other.rows[:, : other.retained])
    return total / min(one.retained, other.retained)


def _procrustes(one: _Prepared, other: _Prepared) -> float:
    # The right singular vectors are rotations, which the nuclear norm does not see.
    return _nuclear_norm(one.sizes[:, None] * (one.rows.T @ other.rows) * other.sizes)


def _nuclear_norm(matrix: Matrix) -> float:
    """The sum of the singular values, to about 1e-7 of the largest: twice as fast as a decomposition."""
    small = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    return float(np.sqrt(np.maximum(np.linalg.eigvalsh(small), 0)).sum())


def _hsic_kernel(gram: Matrix) -> Matrix:
    """A Gram matrix of centred rows, centred as the unbiased estimator of HSIC asks for, of Frobenius norm 1.

    Then the sum of the products of two is HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)) (Székely & Rizzo 2014). That the
    rows are centred already changes nothing in the end, but keeps digits.
    """
    gram = gram.copy()
    np.fill_diagonal(gram, 0)
    n, before = len(gram), np.linalg.norm(gram)
    means = gram.sum(axis=0) / (n - 2)
    means -= means.sum() / (2 * (n - 1))
    gram -= means[:, None]
    gram -= means
    np.fill_diagonal(gram, 0)
    norm = np.linalg.norm(gram)
    if norm <= 1e-9 * before:
        return np.zeros_like(gram)
    gram /= norm
    return gram


def _pairs(runs: int) -> list[tuple[int, int]]:
    if runs <= ALL_PAIRS:
        return list(combinations(range(runs), 2))
    reach = max(1, MOST_PAIRS // runs)
    return [(run, (run + step) % runs) for run in range(runs) for step in range(1, reach + 1)]


def _pair(x: ArrayLike, y: ArrayLike) -> tuple[Matrix, Matrix]:
    one, other = _checked(np.asarray(x), "x"), _checked(np.asarray(y), "y")
    _match(one, other, "y")
    return one, other


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise HoldfastError(f"share is {share:g}: the share of the singular values to keep lies above 0 and up to 1")


def _match(first: Matrix, second: Matrix, name: str) -> None:
    if len(first) != len(second):
        raise HoldfastError(f"{name} has {len(second)} rows and the first {len(first)}: give the same rows in order")


def _checked(x: NDArray[Any], name: str) -> Matrix:
    if x.ndim != 2 or x.shape[1] == 0 or not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        raise HoldfastError(f"{name} is {x.dtype} of shape {x.shape}: give a matrix of numbers, (rows, width)")
    if len(x) < LEAST_ROWS:
        raise HoldfastError(f"{name} has {len(x)} rows: representations are compared over at least {LEAST_ROWS}")
    real = x if np.issubdtype(x.dtype, np.floating) else x.astype(np.float64)
    if not np.isfinite(real).all():
        raise HoldfastError(f"{name} has values that are not finite: leave such rows out")
    if not varies(real):
        raise HoldfastError(f"{name} is the same for every row, so it has no likeness to anything: take another layer")
    return real.astype(np.float64)

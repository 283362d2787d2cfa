"""Rank correlations with intervals."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 10
"""Fewer points than this beyond those that are held constant make no interval worth printing."""


class Correlation(BaseModel):
    """Spearman's rank correlation of two columns."""

    model_config = ConfigDict(frozen=True)

    factor: str
    """What was varied."""
    measure: str
    """What was measured."""
    rho: float
    """Between -1 and 1."""
    low: float
    """95 % interval, lower end."""
    high: float
    """Upper end."""
    points: int
    """Sets that went in."""
    held: tuple[str, ...] = ()
    """Factors held constant: their ranks were taken out of both."""


def rank_correlation(
    columns: Mapping[str, Sequence[float]], factor: str, measure: str, held: Sequence[str] = (), level: float = 0.95
) -> Correlation | None:
    """Return Spearman's correlation of two of ``columns``, or None where one of them is constant.

    ``held`` names columns held constant: the partial correlation of ranks, from the inverse of the ranks'
    correlation matrix. The interval is Fisher's z with the variance (1 + rho^2/2) / (n - 3 - held) of
    Bonett & Wright (2000): in closed form and close to nominal, where a bootstrap of a few hundred sets would differ
    from run to run. Raises ValueError for too few points.
    """
    import numpy as np
    from scipy.special import ndtri
    from scipy.stats import rankdata

    points = len(columns[factor])
    free = points - 3 - len(held)
    if free < LEAST:
        raise ValueError(f"{points} points are too few for a correlation with {len(held)} columns held constant")
    if len(set(columns[factor])) == 1 or len(set(columns[measure])) == 1:
        return None
    varying = [name for name in held if len(set(columns[name])) > 1]
    ranks = np.array([rankdata(columns[name]) for name in (factor, measure, *varying)])
    rho = _partial(np.corrcoef(ranks))
    reach = float(ndtri((1 + level) / 2)) * ((1 + rho**2 / 2) / free) ** 0.5
    # arctanh of +-1 is infinite; a perfect order keeps an interval of its own point.
    z = float(np.arctanh(rho)) if abs(rho) < 1 else rho * float("inf")
    return Correlation(
        factor=factor,
        measure=measure,
        rho=rho,
        low=float(np.tanh(z - reach)),
        high=float(np.tanh(z + reach)),
        points=points,
        held=tuple(varying),
    )


def _partial(matrix: "NDArray[np.float64]") -> float:
    """Return the correlation of the first two columns with all others held constant."""
    import numpy as np

    inverse = np.linalg.inv(matrix) if len(matrix) > 2 else None
    rho = matrix[0, 1] if inverse is None else -inverse[0, 1] / (inverse[0, 0] * inverse[1, 1]) ** 0.5
    return float(np.clip(rho, -1, 1))

"""Wilson's score interval for a share."""

import scipy

from holdfast.study.statistics.interval import Interval


def wilson(share: float, n: int, alpha: float = 0.05) -> Interval:
    """(1 - alpha) interval for a share seen in ``n`` trials; ``share`` need not be a multiple of 1/n.

    Never degenerate: 0 of 5 still allows 43 %. Raises ValueError for n < 1. Source: Wilson (1927).
    """
    if n < 1:
        raise ValueError("a share needs at least 1 trial")
    z = float(scipy.stats.norm.ppf(1 - alpha / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return Interval(max(0.0, centre - reach), min(1.0, centre + reach))

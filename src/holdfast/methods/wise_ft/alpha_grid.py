"""The coefficients that validation chooses from, and which of them it chooses."""

import math
from collections.abc import Mapping

GRID = tuple(step / 10 for step in range(11))


def best_alpha(scores: Mapping[float, float]) -> float:
    """Return the coefficient of the highest score; of equal ones the nearest to 0.5, and then the larger."""

    def order(alpha: float) -> tuple[float, float, float]:
        # Rounded, as 0.6 - 0.5 and 0.5 - 0.4 differ in the last digit.
        score = -math.inf if math.isnan(scores[alpha]) else scores[alpha]
        return score, -round(abs(alpha - 0.5), 9), alpha

    return max(scores, key=order)

"""The part of a difference's uncertainty that comes from the choice of test rows."""

import numpy as np
from numpy.typing import NDArray

from holdfast.study.statistics.interval import Difference
from holdfast.study.statistics.welch import t_difference


def with_test_rows(
    difference: Difference, correct_a: NDArray[np.float64], correct_b: NDArray[np.float64], alpha: float = 0.05
) -> Difference:
    """Widen a difference in accuracy, over seeds only, to one over seeds and test rows.

    ``correct_a`` and ``correct_b`` are (runs, rows), 1 where a run is right, rows in the same order. Raises
    ValueError when the numbers of rows differ or there are fewer than 2.
    """
    if correct_a.shape[1] != correct_b.shape[1] or correct_a.shape[1] < 2:
        raise ValueError("both methods must be scored on the same 2 or more rows")
    gaps = 100 * (correct_a.mean(axis=0) - correct_b.mean(axis=0))
    rows_error = float(gaps.std(ddof=1)) / len(gaps) ** 0.5
    both = float(np.hypot(difference.standard_error, rows_error))
    df = difference.df * (both / difference.standard_error) ** 4
    return t_difference(difference.estimate, both, df, alpha)

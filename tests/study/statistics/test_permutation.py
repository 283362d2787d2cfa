import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from holdfast.study.statistics import permutation_p, sign_flip_p


def _mean_gap(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    gap: NDArray[np.float64] = np.mean(x, axis=axis) - np.mean(y, axis=axis)
    return gap


def test_worked_example() -> None:
    assert permutation_p([70, 71, 69, 72, 70], [66, 70, 68, 67, 69]) == pytest.approx(14 / 252)


def test_agrees_with_scipy_for_equal_arms() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.8, 1, 6), generator.normal(0, 1, 6)
    oracle = stats.permutation_test((a, b), _mean_gap, permutation_type="independent", vectorized=True)
    assert permutation_p(a.tolist(), b.tolist()) == pytest.approx(oracle.pvalue)


def test_pairs_agree_with_scipy() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(0.5, 1, 10), generator.normal(0, 1, 10)
    oracle = stats.permutation_test((a - b,), np.mean, permutation_type="samples", vectorized=True)
    assert sign_flip_p(a.tolist(), b.tolist()) == pytest.approx(oracle.pvalue)


def test_smallest_p_of_few_runs() -> None:
    assert permutation_p([4, 5, 6], [1, 2, 3]) == pytest.approx(0.1)
    assert permutation_p([5, 6, 7, 8], [1, 2, 3, 4]) == pytest.approx(2 / 70)
    assert permutation_p([80.0] * 4, [80.0] * 4) == 1.0


def test_too_many_arrangements_give_no_p() -> None:
    assert permutation_p(list(range(10)), list(range(10))) is None
    assert sign_flip_p(list(range(16)), list(range(16))) is None

import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics.intervals import gap_variance, paired
from holdfast.study.statistics.prefixes import prefix_p_values, prefixes


def test_every_prefix_has_the_mean_spread_and_p_of_its_own() -> None:
    gaps = np.random.default_rng(0).normal(0.4, 2.0, (3, 12))
    runs, p_values = prefixes(gaps), prefix_p_values(gaps)
    for row in range(3):
        for n in range(2, 13):
            seen = gaps[row, :n]
            assert runs.mean[row, n - 1] == pytest.approx(seen.mean())
            assert runs.squares[row, n - 1] / (n - 1) == pytest.approx(seen.var(ddof=1))
            assert p_values[row, n - 1] == pytest.approx(stats.ttest_1samp(seen, 0).pvalue)
    assert np.all(p_values[:, 0] == 1)


def test_a_spread_far_smaller_than_the_mean_is_not_lost() -> None:
    gaps = 1e6 + np.array([0.0, 1e-3, 3e-3, -2e-3])
    assert prefixes(gaps).squares[-1] / 3 == pytest.approx(np.var([0.0, 1e-3, 3e-3, -2e-3], ddof=1), rel=1e-5)


def test_the_floor_is_that_of_the_paired_test() -> None:
    a, b = [80.0, 80.0, 81.0, 80.0], [79.0, 79.0, 80.0, 79.0]
    runs = prefixes(np.subtract(a, b), step=1.0)
    assert runs.squares[-1] / 3 == pytest.approx(gap_variance(a, b, 1.0)) == pytest.approx(1 / 6)
    assert prefix_p_values(np.subtract(a, b), step=1.0)[-1] == pytest.approx(paired(a, b, 1.0).p_value)


def test_equal_differences_without_a_step() -> None:
    assert prefix_p_values([2.0] * 4).tolist() == [1, 0, 0, 0]
    assert prefix_p_values([0.0] * 4).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("gaps", "step", "told"),
    [
        ([], 0.0, "at least 1 difference"),
        (1.0, 0.0, "at least 1 difference"),
        ([1.0, float("nan")], 0.0, "must be finite"),
        ([1.0, float("inf")], 0.0, "must be finite"),
        ([1.0], -1.0, "must not be negative"),
        ([1.0], float("nan"), "must not be negative"),
    ],
)
def test_what_is_no_sequence_of_differences_is_refused(gaps: object, step: float, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        prefixes(gaps, step)  # type: ignore[arg-type]

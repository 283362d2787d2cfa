import pytest
from scipy import stats

from holdfast.study.statistics import wilson


@pytest.mark.parametrize(("count", "n"), [(0, 5), (2, 5), (5, 5), (0, 20), (7, 20), (1, 1)])
def test_agrees_with_scipy(count: int, n: int) -> None:
    oracle = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    found = wilson(count / n, n)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_no_failure_in_five_runs_still_allows_43_percent() -> None:
    assert wilson(0.0, 5).high == pytest.approx(0.434, abs=5e-4)
    assert wilson(0.4, 5).low == pytest.approx(0.118, abs=5e-4)


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 trial"):
        wilson(0.0, 0)

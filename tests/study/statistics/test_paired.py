import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics import paired


def test_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    seed_effect = generator.normal(0, 1, 12)
    a = (80 + seed_effect + generator.normal(0, 0.5, 12)).tolist()
    b = (79 + seed_effect + generator.normal(0, 0.5, 12)).tolist()
    oracle = stats.ttest_rel(a, b)
    found = paired(a, b, step=1e-6)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


def test_a_gap_that_never_changes_still_hides_the_rounding_of_two_scores() -> None:
    found = paired([81.0] * 10, [80.0] * 10, step=1.0)
    assert found.standard_error == pytest.approx((1 / 6 / 10) ** 0.5)


def test_arms_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        paired([80.0, 81.0], [80.0, 81.0, 82.0], step=1.0)

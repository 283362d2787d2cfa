import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics import welch

A = [70, 71, 69, 72, 70]
B = [66, 70, 68, 67, 69]


def test_worked_example() -> None:
    found = welch(A, B, step=0.01)
    assert found.estimate == pytest.approx(2.4)
    assert found.df == pytest.approx(7.275, abs=5e-4)
    assert found.p_value == pytest.approx(0.0273, abs=5e-5)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.354, 4.446), abs=5e-4)


@pytest.mark.parametrize(("n_a", "n_b", "alpha"), [(3, 3, 0.05), (2, 9, 0.05), (12, 5, 0.025)])
def test_agrees_with_scipy_where_the_floor_is_inactive(n_a: int, n_b: int, alpha: float) -> None:
    generator = np.random.default_rng(n_a)
    a, b = generator.normal(80, 1, n_a).tolist(), generator.normal(79, 3, n_b).tolist()
    oracle = stats.ttest_ind(a, b, equal_var=False)
    found = welch(a, b, step=1e-6, alpha=alpha)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(oracle.confidence_interval(1 - alpha)))


def test_swapping_the_arms_flips_the_signs_and_a_constant_changes_nothing() -> None:
    found, swapped, shifted = (
        welch(x, y, step=0.5) for x, y in ((A, B), (B, A), ([v + 7 for v in A], [v + 7 for v in B]))
    )
    assert swapped.estimate == -found.estimate
    assert swapped.interval == -found.interval
    assert swapped.p_value == found.p_value
    assert shifted.estimate == pytest.approx(found.estimate)
    assert shifted.interval.low == pytest.approx(found.interval.low)


def test_constant_arms_have_the_width_of_the_score_step() -> None:
    found = welch([80.0] * 5, [80.5] * 5, step=1.0)
    # Rounding alone gives each run a variance of 1/12: standard error sqrt(2/60), 8 degrees of freedom.
    reach = 2.306004 * (2 / 60) ** 0.5
    assert (found.interval.low, found.interval.high) == pytest.approx((-0.5 - reach, -0.5 + reach), rel=1e-6)
    assert welch([80.0] * 3, [80.0] * 3, step=1.0).p_value == 1.0


def test_one_run_or_no_step_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 runs"):
        welch([80.0], B, step=1.0)
    with pytest.raises(ValueError, match="step must be positive"):
        welch(A, B, step=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("spreads", [(1.0, 1.0), (3.0, 1.0)])
def test_false_alarms_stay_within_the_level(spreads: tuple[float, float]) -> None:
    generator = np.random.default_rng(5)
    a = generator.normal(0, spreads[0], (2000, 5))
    b = generator.normal(0, spreads[1], (2000, 5))
    alarms = sum(welch(x, y, step=1e-6).p_value <= 0.05 for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert alarms / 2000 <= 0.06

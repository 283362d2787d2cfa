import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics.intervals import (
    mean_over_tasks,
    paired,
    welch,
    wilson,
    win_interval,
    win_probability,
    with_test_rows,
)

A = [70, 71, 69, 72, 70]
B = [66, 70, 68, 67, 69]


def test_welch_worked_example() -> None:
    found = welch(A, B, step=0.01)
    assert found.estimate == pytest.approx(2.4)
    assert found.df == pytest.approx(7.275, abs=5e-4)
    assert found.p_value == pytest.approx(0.0273, abs=5e-5)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.354, 4.446), abs=5e-4)


@pytest.mark.parametrize(("n_a", "n_b", "alpha"), [(3, 3, 0.05), (2, 9, 0.05), (12, 5, 0.025)])
def test_welch_agrees_with_scipy_where_the_floor_is_inactive(n_a: int, n_b: int, alpha: float) -> None:
    generator = np.random.default_rng(n_a)
    a, b = generator.normal(80, 1, n_a).tolist(), generator.normal(79, 3, n_b).tolist()
    oracle = stats.ttest_ind(a, b, equal_var=False)
    found = welch(a, b, step=1e-6, alpha=alpha)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(oracle.confidence_interval(1 - alpha)))


def test_welch_swapping_the_groups_flips_the_signs_and_a_constant_changes_nothing() -> None:
    found, swapped, shifted = (
        welch(x, y, step=0.5) for x, y in ((A, B), (B, A), ([v + 7 for v in A], [v + 7 for v in B]))
    )
    assert swapped.estimate == -found.estimate
    assert swapped.interval == -found.interval
    assert swapped.p_value == found.p_value
    assert shifted.estimate == pytest.approx(found.estimate)
    assert shifted.interval.low == pytest.approx(found.interval.low)


def test_constant_groups_have_the_width_of_the_score_step() -> None:
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


def test_paired_agrees_with_scipy() -> None:
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


def test_paired_groups_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        paired([80.0, 81.0], [80.0, 81.0, 82.0], step=1.0)


FIRST = ([70, 71, 69, 72, 70], [66, 70, 68, 67, 69])
SECOND = ([88, 90, 87, 91, 89], [87, 89, 88, 86, 90])


def test_mean_over_tasks_worked_example() -> None:
    found = mean_over_tasks([FIRST, SECOND], [0.01, 0.01])
    assert found.estimate == pytest.approx(1.70)
    assert found.standard_error == pytest.approx(0.663, abs=5e-4)
    assert found.df == pytest.approx(15.15, abs=5e-3)
    assert (found.interval.low, found.interval.high) == pytest.approx((0.287, 3.113), abs=5e-4)


def test_one_task_is_the_plain_comparison() -> None:
    alone, plain = mean_over_tasks([FIRST], [0.5]), welch(*FIRST, step=0.5)
    assert (alone.df, alone.p_value) == pytest.approx((plain.df, plain.p_value))


def test_each_task_has_the_floor_of_its_own_step() -> None:
    constant = ([80.0] * 4, [80.0] * 4)
    found = mean_over_tasks([constant, constant], [1.0, 2.0])
    assert found.standard_error == pytest.approx(((2 * 1 / 12 / 4 + 2 * 4 / 12 / 4) / 4) ** 0.5)


SCORES_A, SCORES_B = [75.0, 50.0, 75.0], [50.0, 25.0, 50.0]
RIGHT_A = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1]], dtype=float)
RIGHT_B = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]], dtype=float)


def test_errors_of_seeds_and_rows_add_in_squares() -> None:
    seeds = welch(SCORES_A, SCORES_B, step=25.0)
    both = with_test_rows(seeds, RIGHT_A, RIGHT_B)
    gaps = [100 * (3 / 3 - 2 / 3), 100 * (3 / 3 - 1 / 3), 0.0, 0.0]
    mean = sum(gaps) / 4
    row_variance = sum((gap - mean) ** 2 for gap in gaps) / 3 / 4
    assert both.estimate == seeds.estimate == pytest.approx(mean)
    assert both.standard_error == pytest.approx((seeds.standard_error**2 + row_variance) ** 0.5)
    assert both.df == pytest.approx(seeds.df * (both.standard_error / seeds.standard_error) ** 4)


def test_equal_predictions_add_nothing() -> None:
    seeds = welch(SCORES_A, SCORES_B, step=25.0)
    assert with_test_rows(seeds, RIGHT_A, RIGHT_A).standard_error == pytest.approx(seeds.standard_error)


def test_different_test_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="same 2 or more rows"):
        with_test_rows(welch(SCORES_A, SCORES_B, step=25.0), RIGHT_A, RIGHT_B[:, :3])


def test_new_rows_are_covered_where_seeds_alone_are_not() -> None:
    """Claims about rows never seen, 5 seeds, 300 rows, a true difference of 0."""
    generator = np.random.default_rng(6)
    covered = {"seeds": 0, "both": 0}
    for _ in range(400):
        # Each row favours one method or the other; seeds add little noise of their own.
        logits = generator.normal(0, 1, (2, 1, 300)) + generator.normal(0, 0.3, (2, 5, 300))
        right = (logits > 0).astype(float)
        scores = (100 * right.mean(axis=2)).tolist()
        seeds = welch(scores[0], scores[1], step=100 / 300)
        both = with_test_rows(seeds, right[0], right[1])
        covered["seeds"] += not seeds.interval.excludes_zero()
        covered["both"] += not both.interval.excludes_zero()
    assert covered["seeds"] < 0.6 * 400
    assert covered["both"] >= 0.93 * 400


@pytest.mark.parametrize(("count", "n"), [(0, 5), (2, 5), (5, 5), (0, 20), (7, 20), (1, 1)])
def test_wilson_agrees_with_scipy(count: int, n: int) -> None:
    oracle = stats.binomtest(count, n).proportion_ci(0.95, method="wilson")
    found = wilson(count / n, n)
    assert (found.low, found.high) == pytest.approx((oracle.low, oracle.high), abs=1e-12)


def test_wilson_of_no_failure_in_five_runs_still_allows_43_percent() -> None:
    assert wilson(0.0, 5).high == pytest.approx(0.434, abs=5e-4)
    assert wilson(0.4, 5).low == pytest.approx(0.118, abs=5e-4)


def test_wilson_of_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 trial"):
        wilson(0.0, 0)


def test_win_probability_pairs_counted_by_hand() -> None:
    # 3>1, 3>2, 3=3, 1=1, 1<2, 1<3: two wins and two ties of six pairs.
    assert win_probability([3, 1], [1, 2, 3]) == pytest.approx(3 / 6)


def test_win_probability_worked_example() -> None:
    a, b = [70, 71, 69, 72, 70], [66, 70, 68, 67, 69]
    interval = win_interval(a, b)
    assert win_probability(a, b) == pytest.approx(0.9)
    assert (interval.low, interval.high) == pytest.approx((0.463, 0.989), abs=5e-4)


def test_swapping_the_groups_mirrors_the_win_probability() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=6).tolist(), generator.normal(size=9).tolist()
    assert win_probability(a, b) + win_probability(b, a) == pytest.approx(1)
    assert win_interval(a, b).low == pytest.approx(1 - win_interval(b, a).high)


def test_win_interval_has_the_width_of_the_smaller_group() -> None:
    a, b = [1.0, 3.0, 5.0], [0.0, 2.0, 4.0]
    assert win_interval(a * 10, b) == win_interval(a, b)

import pytest

from holdfast.study.statistics.group import Scale
from holdfast.study.statistics.intervals import Interval, paired, welch
from holdfast.study.statistics.pair import compare_groups, plan_seeds
from holdfast.study.statistics.significance import sign_flip_p

from .groups import group

SCALE = Scale(step=0.1, constant=50.0)
TEN_A = [70, 71, 69, 72, 70, 71, 70.5, 69.5, 71.5, 70]
TEN_B = [69, 70.5, 69, 71, 68.5, 70, 70, 69, 70, 69.5]


def test_ten_common_seeds_are_paired() -> None:
    pair = compare_groups(group(TEN_A), group(TEN_B), SCALE)
    assert pair.form == "paired"
    assert pair.test == paired(TEN_A, TEN_B, step=0.1)
    assert pair.permutation_p == sign_flip_p(TEN_A, TEN_B)


@pytest.mark.parametrize(
    ("n_a", "n_b", "first_seed"), [(9, 9, 0), (10, 9, 0), (10, 10, 1)], ids=["nine", "unequal", "other seeds"]
)
def test_else_runs_stay_unpaired(n_a: int, n_b: int, first_seed: int) -> None:
    a, b = TEN_A[:n_a], TEN_B[:n_b]
    pair = compare_groups(group(a), group(b, first_seed=first_seed), SCALE)
    assert pair.form == "welch"
    assert pair.test == welch(a, b, step=0.1)


def test_one_failed_run_switches_to_the_two_part_rule() -> None:
    pair = compare_groups(group(TEN_A[:9], failed=[50.0]), group(TEN_B), SCALE)
    assert pair.form == "failures"
    assert pair.failures is not None
    assert pair.test is None
    assert pair.p_value == pair.failures.p_value
    assert pair.estimate == pytest.approx((sum(TEN_A[:9]) + 50) / 10 - sum(TEN_B) / 10)


def test_two_runs_have_an_interval_but_no_p() -> None:
    pair = compare_groups(group([70, 71]), group([69, 70, 71]), SCALE)
    assert pair.interval is not None
    assert pair.p_value is None


def test_one_run_has_a_difference_only() -> None:
    pair = compare_groups(group([70]), group([69, 70, 71]), SCALE)
    assert (pair.estimate, pair.win, pair.interval, pair.win_interval) == (0.0, 0.5, None, None)


def test_no_run_has_nothing() -> None:
    pair = compare_groups(group([]), group([69, 70, 71]), SCALE)
    assert (pair.form, pair.estimate, pair.win) == ("none", None, None)


def test_intervals_end_where_scores_end() -> None:
    pair = compare_groups(group([100, 0]), group([0, 100]), SCALE)
    assert pair.interval == Interval(-100, 100)
    signed = compare_groups(group([100, -100]), group([-100, 100]), Scale(step=0.1, constant=0.0, lowest=-100.0))
    assert signed.interval == Interval(-200, 200)


def test_plan_uses_trained_runs() -> None:
    a, b = [70, 71, 69, 72, 70], [66, 70, 68, 67, 69]
    plan = plan_seeds(group(a), group(b), SCALE, delta=2.0)
    assert plan is not None
    assert plan.settle == 27
    with_failure = plan_seeds(group(a), group(b, failed=[50.0]), SCALE, delta=2.0)
    assert with_failure == plan


def test_no_plan_from_one_trained_run() -> None:
    one, five = group([70], failed=[50.0] * 4), group(TEN_B[:5])
    assert plan_seeds(one, five, SCALE, delta=1.0) is None

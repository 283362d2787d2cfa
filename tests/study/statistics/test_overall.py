import pytest

from holdfast.study.statistics import mean_over_tasks, welch

FIRST = ([70, 71, 69, 72, 70], [66, 70, 68, 67, 69])
SECOND = ([88, 90, 87, 91, 89], [87, 89, 88, 86, 90])


def test_worked_example() -> None:
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

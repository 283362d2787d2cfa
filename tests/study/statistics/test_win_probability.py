import numpy as np
import pytest

from holdfast.study.statistics import win_interval, win_probability


def test_pairs_counted_by_hand() -> None:
    # 3>1, 3>2, 3=3, 1=1, 1<2, 1<3: two wins and two ties of six pairs.
    assert win_probability([3, 1], [1, 2, 3]) == pytest.approx(3 / 6)


def test_worked_example() -> None:
    a, b = [70, 71, 69, 72, 70], [66, 70, 68, 67, 69]
    interval = win_interval(a, b)
    assert win_probability(a, b) == pytest.approx(0.9)
    assert (interval.low, interval.high) == pytest.approx((0.463, 0.989), abs=5e-4)


def test_swapping_the_arms_mirrors_the_probability() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=6).tolist(), generator.normal(size=9).tolist()
    assert win_probability(a, b) + win_probability(b, a) == pytest.approx(1)
    assert win_interval(a, b).low == pytest.approx(1 - win_interval(b, a).high)


def test_the_smaller_arm_sets_the_width() -> None:
    a, b = [1.0, 3.0, 5.0], [0.0, 2.0, 4.0]
    assert win_interval(a * 10, b) == win_interval(a, b)

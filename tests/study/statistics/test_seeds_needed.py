import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics.seeds_needed import planning_spread, seeds_to_detect, seeds_to_settle


@pytest.mark.parametrize(
    ("spread", "settle", "detect"),
    [(0.25, 4, 3), (0.5, 9, 6), (0.75, 19, 10), (1, 32, 17), (1.5, 71, 37), (2, 125, 64)],
)
def test_table_of_planned_seeds(spread: float, settle: int, detect: int) -> None:
    assert seeds_to_settle(spread, 1.0) == settle
    assert seeds_to_detect(spread, 1.0) == detect


@pytest.mark.parametrize(("runs", "factor"), [(3, 1.56), (5, 1.32), (10, 1.18), (20, 1.12)])
def test_the_spread_is_raised_more_the_fewer_the_runs(runs: int, factor: float) -> None:
    assert planning_spread(4.0, 2 * runs - 2) == pytest.approx(2 * factor, abs=0.01)


def test_worked_example() -> None:
    a, b = np.array([70, 71, 69, 72, 70]), np.array([66, 70, 68, 67, 69])
    spread = planning_spread(float(a.var(ddof=1) + b.var(ddof=1)) / 2, 8)
    assert spread == pytest.approx(1.819, abs=5e-4)
    assert seeds_to_settle(spread, 2, at_least=5) == 27
    assert seeds_to_settle(spread, 2, alpha=0.025, at_least=5) == 35


def test_settling_never_asks_for_fewer_than_there_are() -> None:
    assert seeds_to_settle(0.01, 1.0, at_least=7) == 7


def test_paired_plan_is_the_first_with_a_narrow_interval() -> None:
    def half_width(n: int) -> float:
        return float(stats.t.ppf(0.975, n - 1) * 1.2 / n**0.5)

    by_hand = next(n for n in range(10, 1000) if half_width(n) <= 0.5)
    assert seeds_to_settle(1.2, 1.0, at_least=10, pairs=True) == by_hand


def test_detecting_has_the_power_promised() -> None:
    n = seeds_to_detect(1.0, 1.0)
    generator = np.random.default_rng(4)
    a, b = generator.normal(1, 1, (4000, n)), generator.normal(0, 1, (4000, n))
    assert np.mean(stats.ttest_ind(a, b, axis=1).pvalue <= 0.05) == pytest.approx(0.8, abs=0.03)


def test_extreme_spreads_give_an_answer() -> None:
    assert seeds_to_detect(1e-6, 1.0) == 2
    assert seeds_to_settle(1e-6, 1.0) == 2
    assert seeds_to_settle(60.0, 0.5) > seeds_to_detect(60.0, 0.5) > 100_000

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics.halving import Rung, finalist_test, halving_rungs, kept_methods


def test_worked_example_of_60_runs() -> None:
    # 4 seeds for 5 methods and the baseline are 24 runs; to 8 seeds 3 and it take 16, to 14 seeds 2 and it 18, then 2.
    assert halving_rungs(5, runs=60) == [Rung(5, 4), Rung(3, 8), Rung(2, 14), Rung(1, 15)]


def test_worked_examples_of_seeds() -> None:
    assert halving_rungs(5, seeds=15) == [Rung(5, 4), Rung(3, 8), Rung(2, 15)]
    assert halving_rungs(5, seeds=50) == [Rung(5, 6), Rung(3, 12), Rung(2, 24), Rung(1, 50)]
    assert halving_rungs(1, seeds=9) == [Rung(1, 9)]
    assert halving_rungs(5, runs=60, seeds=10) == [Rung(5, 4), Rung(3, 8), Rung(2, 10)]


@pytest.mark.parametrize("methods", [1, 2, 5, 10, 17])
@pytest.mark.parametrize("generous", [1, 2, 5, 40])
def test_rungs_spend_no_more_than_there_is_and_no_less_than_they_can(methods: int, generous: int) -> None:
    runs = (methods + 1) * 4 * generous + methods
    rungs = halving_rungs(methods, runs=runs)
    spent, reached = 0, 0
    for rung in rungs:
        spent += (rung.methods + 1) * (rung.seeds - reached)
        reached = rung.seeds
    assert spent <= runs < spent + rungs[-1].methods + 1
    assert rungs[0].methods == methods
    assert rungs[0].seeds >= 4
    for before, after in pairwise(rungs):
        assert after.methods == (before.methods + 1) // 2
        assert after.seeds > before.seeds


def test_limits_that_do_not_reach_the_first_rung_are_told() -> None:
    with pytest.raises(ValueError, match="5 methods and the baseline take 24 runs, 4 seeds each"):
        halving_rungs(5, runs=23)
    with pytest.raises(ValueError, match="4 seeds each"):
        halving_rungs(5, seeds=3)
    with pytest.raises(ValueError, match="a limit"):
        halving_rungs(5)
    with pytest.raises(ValueError, match="at least 1 method"):
        halving_rungs(0, runs=10)
    with pytest.raises(ValueError, match="3 seeds for its first"):
        halving_rungs(3, runs=10, first=2)


def test_the_largest_mean_differences_stay_in_the_order_given() -> None:
    gaps = np.array([[0.0, 1.0], [3.0, 3.0], [-1.0, 0.0], [2.0, 2.0]])
    none = np.zeros_like(gaps, dtype=bool)
    assert kept_methods(gaps, none, 2) == [1, 3]
    assert kept_methods(gaps[::-1], none, 2) == [0, 2]
    # A baseline that does better or worse, with one seed or all, moves all methods alike.
    assert kept_methods(gaps - np.array([50.0, -3.0]), none, 2) == [1, 3]
    assert kept_methods(np.zeros((3, 2)), np.zeros((3, 2)), 1) == [0]


def test_a_failed_run_counts_as_the_worst_that_trained() -> None:
    failed = np.array([[False, True, False], [False, False, False], [False, False, False]])
    gaps = np.array([[3.0, np.nan, 3.0], [1.0, 1.0, 1.0], [0.0, -2.0, 0.0]])
    # (3 - 2 + 3) / 3 is ahead of 1; with the third method's lowest at -6 it is not.
    assert kept_methods(gaps, failed, 1) == [0]
    gaps[2, 1] = -6.0
    assert kept_methods(gaps, failed, 1) == [1]
    # How badly it failed does not matter.
    gaps[0, 1] = 1000.0
    assert kept_methods(gaps, failed, 1) == [1]
    assert kept_methods(np.full((3, 2), np.nan), np.ones((3, 2)), 2) == [0, 1]


def test_runs_that_cannot_be_ranked_are_refused() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        kept_methods([[1.0, np.nan]], [[False, False]], 1)
    with pytest.raises(ValueError, match="must both be"):
        kept_methods([[1.0, 2.0]], [[False]], 1)
    for keep in (0, 2):
        with pytest.raises(ValueError, match="cannot be kept"):
            kept_methods([[1.0, 2.0]], [[False, False]], keep)


def test_the_last_test_is_a_paired_t_test_at_its_share_of_the_level() -> None:
    gaps = np.random.default_rng(0).normal(1.0, 1.0, 15).tolist()
    oracle = stats.ttest_1samp(gaps, 0)
    found = finalist_test(gaps, methods=5)
    assert found.p_value == pytest.approx(oracle.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(oracle.confidence_interval(0.99)))
    assert found.interval.excludes_zero() == (found.p_value <= 0.01)


def test_equal_differences_take_the_score_step() -> None:
    with pytest.raises(ValueError, match="score step"):
        finalist_test([1.0] * 5, 3)
    assert finalist_test([1.0] * 5, 3, step=1.0).standard_error == pytest.approx((1 / 6 / 5) ** 0.5)
    with pytest.raises(ValueError, match="at least 3"):
        finalist_test([1.0, 2.0], 3)


def test_false_declarations_stay_within_the_level() -> None:
    """Nothing is better than anything, methods share the baseline's runs, the best of the rungs is tested."""
    generator, rungs, wrong = np.random.default_rng(1), halving_rungs(4, seeds=16), 0
    assert [rung.seeds for rung in rungs] == [4, 8, 16]
    for scores in generator.normal(size=(1000, 5, 16)):
        gaps = scores[1:] - scores[0]
        alive = list(range(4))
        for before, after in pairwise(rungs):
            seen = gaps[alive, : before.seeds]
            alive = [alive[i] for i in kept_methods(seen, np.zeros_like(seen), after.methods)]
        wrong += any(finalist_test(gaps[method].tolist(), 4).interval.excludes_zero() for method in alive)
    assert wrong / 1000 <= 0.05

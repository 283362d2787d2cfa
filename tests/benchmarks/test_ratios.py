"""The statistics of step times, by hand."""

import random
from statistics import median

import pytest

from measuring.ratios import median_interval, time_ratio


def test_the_interval_of_a_median_takes_the_ranks_of_the_tables():
    """Ranks by the binomial table at 95 %: 1 and 6 of 6, 2 and 9 of 10, 6 and 15 of 20, 10 and 21 of 30."""
    for n, (low, high) in {6: (1, 6), 10: (2, 9), 20: (6, 15), 30: (10, 21)}.items():
        values = random.Random(n).sample(range(1, n + 1), n)
        assert median_interval(values) == (low, high)


def test_the_interval_covers_the_median_of_skewed_noise():
    draw = random.Random(0)
    covered = 0
    for _ in range(2000):
        low, high = median_interval([draw.expovariate(1.0) for _ in range(20)])
        covered += low <= 0.693147 <= high
    # Exact coverage for 20 values is 95.9 %.
    assert covered / 2000 == pytest.approx(0.959, abs=0.015)


def _ratio(method, vanilla, blocks=None, hooks=None, start=0.0, total=100):
    blocks = blocks or [range(i, i + 1) for i in range(len(method))]
    return time_ratio(method, vanilla, blocks, hooks or dict.fromkeys(range(total), 0.0), start, total)


def test_rounds_are_paired():
    """A machine that gets three times slower changes no ratio."""
    vanilla = [1.0, 1.1, 2.0, 2.2, 3.0, 3.3]
    found = _ratio([1.05 * seconds for seconds in vanilla], vanilla)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.05, 1.05, 1.05))


def test_one_disturbed_round_moves_nothing():
    vanilla = [1.0] * 11
    method = [1.1] * 10 + [9.0]
    found = _ratio(method, vanilla)
    assert (found.ratio, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))


@pytest.mark.parametrize("met", [False, True])
def test_a_rare_slow_step_counts_as_often_as_it_comes(met):
    """0.4 s at every 50th of 100 steps of 1 s: 0.8 %, whether or not a block of the rounds met such a step."""
    hooks = {index: 0.41 if index % 50 == 0 else 0.01 for index in range(100)}
    indices = [0, 1, 2, 50, 3, 4, 5] if met else [1, 2, 3, 4, 5, 6, 7]
    blocks = [range(index, index + 1) for index in indices]
    method = [1.0 + hooks[index] for index in indices]
    found = _ratio(method, [1.0] * 7, blocks, hooks)
    assert found.ratio == pytest.approx(1.018)
    assert (found.low, found.high) == pytest.approx((1.018, 1.018))
    assert found.rare == pytest.approx(0.008)


def test_what_comes_before_the_first_step_is_spread_over_all_steps():
    """A look at the data that takes 50 s, before 100 steps of 2 s."""
    found = _ratio([2.0] * 7, [2.0] * 7, start=50.0)
    assert (found.ratio, found.start) == pytest.approx((1.25, 0.25))
    assert found.low == pytest.approx(1.25)


def test_alternating_stages_count_alike():
    """Hooks take 0.1 s in one half of the steps and nothing in the other; no step costs anything else."""
    hooks = {index: 0.1 * (index // 10 % 2) for index in range(100)}
    indices = [3, 25, 44, 61, 83, 15, 7]
    blocks = [range(index, index + 1) for index in indices]
    method = [1.0 + hooks[index] for index in indices]
    assert median(method) == 1.0
    assert _ratio(method, [1.0] * 7, blocks, hooks).ratio == pytest.approx(1.05)

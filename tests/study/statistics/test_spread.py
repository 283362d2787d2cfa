import numpy as np
import pytest

from holdfast.study.statistics import spread
from holdfast.study.statistics.spread import enough_for_spread, spread_ratio

Groups = list[tuple[list[float], list[float]]]


def _tasks(generator: np.random.Generator, tasks: int, runs: int, ratio: float) -> Groups:
    draws = generator.normal(80, 1, (tasks, 2, runs))
    return [(list(80 + (a - 80) * ratio), list(b)) for a, b in draws]


def test_ratio_is_the_geometric_mean_over_tasks() -> None:
    groups: Groups = [([1, 2, 3], [2, 4, 6]), ([0, 4, 8], [3, 5, 7])]
    assert spread_ratio(groups, [1e-3, 1e-3]).ratio == pytest.approx(((1 / 2) * (4 / 2)) ** 0.5)


def test_swapping_the_groups_inverts_the_ratio() -> None:
    groups = _tasks(np.random.default_rng(2), 4, 5, 2.0)
    found = spread_ratio(groups, [0.1] * 4)
    swapped = spread_ratio([(b, a) for a, b in groups], [0.1] * 4)
    assert swapped.ratio == pytest.approx(1 / found.ratio)
    assert swapped.p_value == pytest.approx(found.p_value, abs=0.02)


def test_levels_do_not_matter_and_the_same_runs_give_the_same_answer() -> None:
    groups = _tasks(np.random.default_rng(3), 4, 5, 1.5)
    shifted = [([x + 16 for x in a], [x - 32 for x in b]) for a, b in groups]
    found = spread_ratio(groups, [0.1] * 4)
    assert spread_ratio(groups, [0.1] * 4) == found
    assert spread_ratio(shifted, [0.1] * 4).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("runs", "factor"), [(3, 6.2), (5, 3.1), (10, 2.0), (20, 1.6), (50, 1.3)])
def test_factor_of_one_task(runs: int, factor: float) -> None:
    groups = _tasks(np.random.default_rng(0), 1, runs, 1.0)
    assert spread_ratio(groups, [0.1]).factor == pytest.approx(factor, abs=0.06)


def test_constant_groups_have_the_spread_of_the_score_step() -> None:
    found = spread_ratio([([80.0] * 5, [79.0, 80.0, 81.0, 80.0, 80.0])] * 4, [1.0] * 4)
    assert found.ratio == pytest.approx(((1 / 12) / 0.5) ** 0.5)


@pytest.mark.slow
def test_false_alarms_and_power_over_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "PERMUTATIONS", 199)

    def alarms(ratio: float, tasks: int, runs: int, failing: float = 0.0) -> float:
        generator = np.random.default_rng(8)
        found = 0
        for _ in range(500):
            groups = _tasks(generator, tasks, runs, ratio)
            lost = [([x - 12 * (generator.random() < failing) for x in group] for group in pair) for pair in groups]
            found += spread_ratio([(a, b) for a, b in lost], [1e-3] * tasks).p_value <= 0.05
        return found / 500

    assert alarms(1.0, tasks=4, runs=5) <= 0.06
    assert alarms(1.0, tasks=4, runs=5, failing=0.1) <= 0.06
    assert alarms(2.0, tasks=4, runs=10) >= 0.85


def test_when_there_is_enough() -> None:
    def groups(tasks: int, runs: int) -> Groups:
        return [([0.0] * runs, [0.0] * runs)] * tasks

    assert enough_for_spread(groups(4, 3))
    assert enough_for_spread(groups(1, 20))
    assert not enough_for_spread(groups(3, 19))
    assert not enough_for_spread(groups(8, 2))
    assert not enough_for_spread([])

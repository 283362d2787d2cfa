import numpy as np
import pytest

from holdfast.study.statistics import boundaries
from holdfast.study.statistics.boundaries import (
    POCOCK,
    WANG_TSIATIS,
    boundary_constant,
    error_rate,
    first_rejection,
    nominal_levels,
)
from holdfast.study.statistics.prefixes import prefix_p_values


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cap", "shape", "known"), [(30, WANG_TSIATIS, 0.0211), (50, WANG_TSIATIS, 0.0205), (30, POCOCK, 0.0063)]
)
def test_constants_found_by_simulation_elsewhere(cap: int, shape: float, known: float) -> None:
    # 200 000 repetitions leave an error of about 1 %, four decimals another.
    assert boundary_constant(cap, shape=shape) == pytest.approx(known, rel=0.025)


@pytest.mark.slow
@pytest.mark.parametrize(("looks", "level"), [(2, 0.0294), (3, 0.0221), (4, 0.0182)])
def test_with_many_seeds_between_looks_it_is_the_published_table_of_pocock(looks: int, level: float) -> None:
    """Looks at 60, 120, ... seeds: the spread is nearly known."""
    between = 60
    levels = [level if (look + 1) % between == 1 else 0.0 for look in range(between * (looks - 1) + 1)]
    assert sum(one > 0 for one in levels) == looks
    assert error_rate(levels, first=between) == pytest.approx(0.05, abs=5e-4)


@pytest.mark.parametrize("levels", [[0.05], [0.05, 0.0, 0.0], [0.0, 0.0, 0.05], [0.0, 0.05, 0.0, 0.0]])
@pytest.mark.parametrize("first", [2, 3, 9])
def test_one_look_alone_has_its_own_level(levels: list[float], first: int) -> None:
    assert error_rate(levels, first) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize(
    ("levels", "first"),
    [([0.03] * 10, 3), ([0.1, 0.0, 0.02, 0.3, 0.01], 2), (np.linspace(0.001, 0.05, 20).tolist(), 5)],
)
def test_the_error_rate_is_that_of_simulated_sequences(levels: list[float], first: int) -> None:
    draws = 40_000
    p_values = prefix_p_values(np.random.default_rng(first).normal(size=(draws, first + len(levels) - 1)))
    found = np.mean(np.any(p_values[:, first - 1 :] <= np.asarray(levels), axis=1))
    exact = error_rate(levels, first)
    assert exact == pytest.approx(found, abs=4 * (exact * (1 - exact) / draws) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("cap", [5, 20])
def test_a_finer_integration_finds_the_same(monkeypatch: pytest.MonkeyPatch, cap: int) -> None:
    levels = list(nominal_levels(cap, shape=POCOCK).values())
    coarse = error_rate(levels)
    monkeypatch.setattr(boundaries, "_GRID", 601)
    monkeypatch.setattr(boundaries, "_NODES", 300)
    assert error_rate(levels) == pytest.approx(coarse, rel=2e-3)


@pytest.mark.parametrize(("shape", "alpha"), [(0.0, 0.2), (WANG_TSIATIS, 0.01), (POCOCK, 0.05), (0.7, 0.01)])
def test_the_levels_have_the_error_rate_asked_for(shape: float, alpha: float) -> None:
    levels = nominal_levels(7, alpha, shape)
    assert list(levels) == [3, 4, 5, 6, 7]
    assert error_rate(list(levels.values())) == pytest.approx(alpha, rel=1e-4)
    assert levels[7] == pytest.approx(boundary_constant(7, alpha, shape))


def test_a_smaller_shape_keeps_more_for_the_last_look() -> None:
    pocock, wang_tsiatis = nominal_levels(12, shape=POCOCK), nominal_levels(12)
    assert len({round(level, 12) for level in pocock.values()}) == 1
    assert np.all(np.diff(list(wang_tsiatis.values())) > 0)
    assert wang_tsiatis[3] < pocock[3] < wang_tsiatis[12] < 0.05


def test_one_look_is_a_plain_test() -> None:
    assert nominal_levels(7, first=7) == pytest.approx({7: 0.05}, rel=1e-5)


def test_what_is_no_plan_is_refused() -> None:
    for cap, first in ((2, 3), (5, 1)):
        with pytest.raises(ValueError, match="first look"):
            boundary_constant(cap, first=first)
    for alpha in (0.0, 1.0):
        with pytest.raises(ValueError, match="alpha must lie between"):
            boundary_constant(5, alpha)
    for levels in ([], [0.05, 1.0], [-0.1], [float("nan")]):
        with pytest.raises(ValueError, match="levels must be"):
            error_rate(levels)
    with pytest.raises(ValueError, match="at least 2 seeds"):
        error_rate([0.05], first=1)


def test_the_first_look_below_its_level_is_the_one() -> None:
    generator = np.random.default_rng(0)
    levels = nominal_levels(15)
    found = set()
    for gaps in generator.normal(1.0, 1.0, (40, 15)):
        p_values = prefix_p_values(gaps)
        by_hand = next((n for n in range(3, 16) if p_values[n - 1] <= levels[n]), None)
        assert first_rejection(gaps, levels) == by_hand == first_rejection(-5 * gaps, levels)
        if by_hand is not None:
            assert first_rejection(gaps[: by_hand - 1], levels) is None
        found.add(by_hand)
    assert len(found) > 4


def test_equal_differences_wait_for_the_score_step() -> None:
    levels = nominal_levels(15)
    assert first_rejection([1.0] * 3, levels) == 3
    assert first_rejection([1.0] * 3, levels, step=1.0) is None
    assert first_rejection([1.0] * 15, levels, step=1.0) is not None
    assert first_rejection([0.0] * 15, levels) is None


def test_seeds_beyond_the_cap_have_no_level() -> None:
    with pytest.raises(ValueError, match="cap"):
        first_rejection([1.0, 2.0, 3.0, 4.0], nominal_levels(3))

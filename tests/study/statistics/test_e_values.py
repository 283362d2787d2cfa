from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats

from holdfast.study.statistics.e_values import (
    failure_e_value,
    gaussian_e_values,
    holm_e_values,
    moment_e_values,
    moment_interval,
    moment_radius,
    practically_equal,
)
from holdfast.study.statistics.prefixes import prefixes
from holdfast.study.statistics.significance import holm

EValues = Callable[[NDArray[np.float64]], NDArray[np.float64]]
DELTA_MIN, G = 0.8, 0.6
MOMENT = partial(moment_e_values, delta_min=DELTA_MIN)
GAUSSIAN = partial(gaussian_e_values, g=G)
BOTH = pytest.mark.parametrize("e_values", [MOMENT, GAUSSIAN], ids=["moment", "gaussian"])


def with_t(t: float, n: int) -> NDArray[np.float64]:
    """n differences whose t statistic is ``t``, with unit spread."""
    pattern = np.random.default_rng(n).normal(size=n)
    pattern = (pattern - pattern.mean()) / pattern.std(ddof=1)
    return pattern + t / n**0.5


def gaussian_prior(effect: float) -> float:
    return float(stats.norm.pdf(effect, scale=G**0.5))


def moment_prior(effect: float) -> float:
    g = DELTA_MIN**2 / 2
    return float(effect**2 / g * stats.norm.pdf(effect, scale=g**0.5))


@pytest.mark.parametrize(("n", "t"), [(2, 1.3), (3, -0.4), (5, 4.0), (10, 0.0), (10, -2.5), (25, 3.0)])
@pytest.mark.parametrize(("e_values", "prior"), [(MOMENT, moment_prior), (GAUSSIAN, gaussian_prior)])
def test_e_is_the_likelihood_ratio_of_t_averaged_over_the_prior(
    e_values: EValues, prior: Callable[[float], float], n: int, t: float
) -> None:
    """The noncentral t density, integrated numerically."""

    def weighed(effect: float) -> float:
        return prior(effect) * float(stats.nct.pdf(t, n - 1, effect * n**0.5))

    numerator = integrate.quad(weighed, -6, 6, points=[0], limit=200)[0]
    assert e_values(with_t(t, n))[-1] == pytest.approx(numerator / stats.t.pdf(t, n - 1), rel=1e-6)


@pytest.mark.parametrize("n", [2, 3, 4, 9])
@BOTH
def test_the_mean_of_the_next_e_is_the_present_one(e_values: EValues, n: int) -> None:
    """Where there is no difference the next one, over the length of those so far, is t / sqrt(n) with n df."""
    gaps = np.random.default_rng(n).normal(0.5, 1.0, n)
    length = np.linalg.norm(gaps)

    def weighed(t: float) -> float:
        return float(e_values(np.append(gaps, t * length / n**0.5))[-1] * stats.t.pdf(t, n))

    mean = integrate.quad(weighed, -np.inf, np.inf, limit=400)[0]
    assert mean == pytest.approx(e_values(gaps)[-1], rel=1e-6)


@BOTH
def test_without_a_difference_the_mean_is_1_at_every_n(e_values: EValues) -> None:
    sampled = e_values(np.random.default_rng(1).normal(size=(20_000, 6)))
    error = sampled.std(axis=0) / len(sampled) ** 0.5
    assert np.all(np.abs(sampled.mean(axis=0) - 1) <= 4 * error + 1e-12)


@pytest.mark.parametrize(
    ("e_values", "known"), [(moment_e_values, 0.030), (gaussian_e_values, 0.021)], ids=["moment", "gaussian"]
)
def test_false_alarms_over_all_looks_up_to_30(e_values: EValues, known: float) -> None:
    sampled = e_values(np.random.default_rng(2).normal(size=(10_000, 30)))
    assert np.mean(sampled[:, 2:].max(axis=1) >= 20) == pytest.approx(known, abs=4 * (known / 10_000) ** 0.5)


@BOTH
def test_scale_and_sign_change_nothing_nor_does_the_order_in_the_end(e_values: EValues) -> None:
    generator = np.random.default_rng(3)
    gaps = generator.normal(0.7, 1.0, 9)
    known = e_values(gaps)
    for changed in (1e-6 * gaps, 1e6 * gaps, -gaps):
        assert e_values(changed) == pytest.approx(known, rel=1e-9)
    assert e_values(generator.permutation(gaps))[-1] == pytest.approx(known[-1])


@BOTH
def test_a_prefix_does_not_know_what_comes(e_values: EValues) -> None:
    gaps = np.random.default_rng(4).normal(size=(2, 8))
    for n in range(1, 9):
        assert e_values(gaps[:, :n]) == pytest.approx(e_values(gaps)[:, :n])


@BOTH
def test_one_difference_says_nothing(e_values: EValues) -> None:
    assert e_values(np.array([3.0])) == pytest.approx([1.0])


def test_equal_differences_give_the_largest_e_and_no_differences_the_smallest() -> None:
    generator = np.random.default_rng(5)
    for e_values in (MOMENT, GAUSSIAN):
        largest, smallest = e_values(np.full(12, 0.1)), e_values(np.zeros(12))
        drawn = e_values(generator.normal(1.0, 1.0, (200, 12)))
        assert np.all(drawn <= largest * (1 + 1e-9))
        assert np.all(drawn[:, 1:] >= smallest[1:])
        assert np.all(smallest < 1)


def test_the_earliest_declaration_takes_5_seeds() -> None:
    e_values = moment_e_values([1.0] * 5)
    # At n = 5: (1 + n g)^2 (1 + 4 n g / (1 + n g)) with n g = 2.5.
    assert e_values[4] == pytest.approx(3.5**2 * (1 + 10 / 3.5))
    assert e_values[3] < 20 <= e_values[4]


@BOTH
def test_the_score_step_only_lowers_e(e_values: EValues) -> None:
    gaps = np.round(np.random.default_rng(6).normal(0.6, 0.7, (50, 10)))
    assert np.all(partial(e_values, step=1.0)(gaps) <= e_values(gaps) * (1 + 1e-12))
    assert partial(e_values, step=1.0)(np.ones(10))[-1] < e_values(np.ones(10))[-1]


def test_hundreds_of_seeds_overflow_to_infinity() -> None:
    assert moment_e_values(np.ones(600))[-1] == np.inf


def test_what_cannot_be_tested_is_refused() -> None:
    for e_values in (moment_e_values, gaussian_e_values):
        with pytest.raises(ValueError, match="must be finite"):
            e_values([1.0, float("nan")])
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="delta_min must be positive"):
            moment_e_values([1.0, 2.0], delta_min=bad)
        with pytest.raises(ValueError, match="g must be positive"):
            gaussian_e_values([1.0, 2.0], g=bad)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (3, 1), (8, 0), (5, 9)])
def test_failures_are_a_likelihood_ratio_of_coins(a: int, b: int) -> None:
    numerator = integrate.quad(lambda p: p**a * (1 - p) ** b, 0, 1)[0]
    assert failure_e_value(a, b) == pytest.approx(numerator / 0.5 ** (a + b))
    assert failure_e_value(a, b) == failure_e_value(b, a)
    # A martingale: the next discordant seed is either with the same chance.
    assert (failure_e_value(a + 1, b) + failure_e_value(a, b + 1)) / 2 == pytest.approx(failure_e_value(a, b))


def test_it_takes_8_failures_against_none() -> None:
    assert failure_e_value(7, 0) == pytest.approx(16)
    assert failure_e_value(8, 0) == pytest.approx(256 / 9)
    assert 16 < 20 < 256 / 9
    with pytest.raises(ValueError, match="must not be negative"):
        failure_e_value(-1, 0)


def test_holm_over_e_values_is_holm_with_1_over_e() -> None:
    e_values = np.random.default_rng(7).lognormal(3, 2, 9).tolist()
    adjusted = [e for e in holm_e_values(e_values) if e is not None]
    p_adjusted = holm([1 / e for e in e_values])
    for e, p in zip(adjusted, p_adjusted, strict=True):
        assert p is not None
        assert min(1.0, 1 / e) == pytest.approx(p)


def test_holm_over_e_values_by_hand() -> None:
    assert holm_e_values([30.0, 90.0, None, 500.0]) == pytest.approx([15.0, 30.0, None, 125.0])
    # The third is large enough on its own, but not after the second was not.
    assert holm_e_values([100.0, 25.0, 22.0]) == pytest.approx([100 / 3, 12.5, 12.5])
    assert holm_e_values([]) == []
    for bad in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="not negative"):
            holm_e_values([1.0, bad])


def test_any_false_alarm_among_comparisons_with_one_baseline_stays_within_the_level() -> None:
    """Looking after every seed up to 20, none of four methods differs."""
    runs = np.random.default_rng(12).normal(size=(2000, 5, 20))
    highest = moment_e_values(runs[:, 1:] - runs[:, :1]).max(axis=2)
    alarms = sum(max(e for e in holm_e_values(row.tolist()) if e is not None) >= 20 for row in highest)
    assert 0 < alarms / 2000 <= 0.05


@pytest.mark.parametrize("n", [5, 8, 20])
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_at_the_ends_of_the_interval_e_is_1_over_alpha(n: int, alpha: float) -> None:
    gaps = np.random.default_rng(n).normal(0.3, 2.0, n)
    interval = moment_interval(gaps, 0.7 if alpha == 0.2 else 1.0, alpha)
    for end in (interval.low, interval.high):
        e_values = moment_e_values(gaps - end, 0.7 if alpha == 0.2 else 1.0)
        assert e_values[-1] == pytest.approx(1 / alpha, rel=1e-6)


def test_the_interval_moves_and_grows_with_the_data() -> None:
    gaps = np.random.default_rng(8).normal(size=9)
    plain, moved = moment_interval(gaps), moment_interval(10 * gaps - 4)
    assert (moved.low, moved.high) == pytest.approx((10 * plain.low - 4, 10 * plain.high - 4))
    assert moment_interval(-gaps).low == pytest.approx(-plain.high)


def test_the_interval_excludes_zero_where_the_test_rejects() -> None:
    drawn = np.random.default_rng(9).normal(0.9, 1.0, (60, 10))
    rejected = moment_e_values(drawn)[:, -1] >= 20
    assert [moment_interval(gaps).excludes_zero() for gaps in drawn] == rejected.tolist()
    assert 0 < rejected.sum() < 60


def test_few_seeds_exclude_no_mean_and_equal_ones_all_but_theirs() -> None:
    assert moment_interval([1.0, 1.1, 0.9, 1.0]).high == np.inf
    assert moment_interval([1.0] * 4).low == -np.inf
    point = moment_interval([1.5] * 5)
    assert (point.low, point.high) == (1.5, 1.5)
    # What the rounding of the scores hides: variance 1/6, as of the paired t interval.
    floored = moment_interval([1.5] * 5, step=1.0)
    assert floored.high - 1.5 == pytest.approx(moment_radius(5) * (1 / 6 * 4 / 5) ** 0.5)


def test_the_true_mean_is_inside_all_intervals_together() -> None:
    """Looking after every seed, up to 40; the mean is 3, the spread unknown."""
    runs = prefixes(np.random.default_rng(10).normal(3.0, 2.0, (4000, 40)))
    # From 5 seeds on; before, every mean is inside.
    reach = np.array([moment_radius(n) for n in range(5, 41)]) * np.sqrt(runs.squares / runs.n)[:, 4:]
    missed = np.any(np.abs(runs.mean[:, 4:] - 3.0) > reach, axis=1)
    assert 0.015 <= missed.mean() <= 0.05


def test_practically_equal_is_an_interval_inside_delta() -> None:
    gaps = np.random.default_rng(11).normal(0.0, 0.5, 25)
    interval = moment_interval(gaps)
    widest = max(-interval.low, interval.high)
    assert practically_equal(gaps, widest)
    assert not practically_equal(gaps, 0.99 * widest)
    assert not practically_equal([0.0] * 4, 1.0)


def test_a_level_is_between_0_and_1() -> None:
    for alpha in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="alpha must lie between"):
            moment_interval([1.0, 2.0], alpha=alpha)

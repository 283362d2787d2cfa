import numpy as np
import pytest
from scipy import stats

from holdfast.stability.simulations import Simulations, simulate, sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulations():
    return simulate(2, repetitions=3)


def test_a_slope_is_that_of_the_logarithms_with_student_s_interval():
    rng = np.random.default_rng(0)
    values = np.array([1.0, 3, 9, 30])
    measured = 2 * values**-0.7 * rng.lognormal(0, 0.1, (5, 4))
    slopes = [stats.linregress(np.log(values), np.log(line)).slope for line in measured]
    low, high = stats.t.interval(0.95, 4, loc=np.mean(slopes), scale=stats.sem(slopes))
    found = sweep(values.tolist(), measured.tolist())
    assert (found.slope.value, found.slope.low, found.slope.high) == pytest.approx((np.mean(slopes), low, high))
    assert found.means == pytest.approx(measured.mean(axis=0))


def test_an_exact_power_has_no_spread():
    found = sweep([1, 2, 4], [[3, 6, 12], [5, 10, 20]])
    assert (found.slope.value, found.slope.low, found.slope.high) == pytest.approx((1, 1, 1))


def test_full_tuning_falls_as_one_over_n_below_its_bound(simulations):
    found = simulations.quadratics
    assert found.slope.value == pytest.approx(-1, abs=0.1)
    assert simulations.quadratic_share <= 1
    for line in found.measured:
        assert all(one < bound for one, bound in zip(line, simulations.quadratic_bounds, strict=True))


def test_what_moves_heads(simulations):
    assert simulations.rows.slope.value == pytest.approx(-1, abs=0.15)
    assert simulations.centre_distance.slope.high < 0
    assert simulations.steps_clear.means[0] > 1.05 * simulations.steps_clear.means[-1]
    assert simulations.steps_noisy.means[0] < 0.95 * simulations.steps_noisy.means[-1]


def test_seed_spread_falls_as_the_root_of_heads_when_losses_are_summed(simulations):
    assert simulations.heads_sum.values == (1, 5, 20, 50)
    assert simulations.heads_sum.slope.value == pytest.approx(-0.5, abs=0.05)
    assert simulations.heads_mean.means[-1] > simulations.heads_mean.means[0]
    # One head is the same either way.
    assert [line[0] for line in simulations.heads_sum.measured] == [line[0] for line in simulations.heads_mean.measured]


def test_repetitions_share_no_draw_and_come_again(simulations):
    lines = simulations.rows.measured
    assert len({value for line in lines for value in line}) == 12
    again = simulate(2, repetitions=2)
    assert again.rows.measured == lines[:2]
    assert Simulations.model_validate_json(again.model_dump_json()) == again

from functools import cache

import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics import failed_runs
from holdfast.study.statistics.failed_runs import compare_with_failures, failure_rate_p
from holdfast.study.statistics.group import Scale

from .groups import group

A = group([70, 71, 69, 72, 70])
C = group([70, 71, 69], failed=[52.7, 52.7])
SCALE = Scale(step=0.01, constant=52.7)


@pytest.mark.parametrize(
    ("counts", "p_value"),
    [((0, 10, 4, 10), 0.0422), ((0, 5, 2, 5), 0.1874), ((0, 5, 4, 5), 0.0215)],
)
def test_failure_rates(counts: tuple[int, int, int, int], p_value: float) -> None:
    failed_a, n_a, failed_b, n_b = counts
    assert failure_rate_p(failed_a, n_a, failed_b, n_b) == pytest.approx(p_value, abs=5e-5)
    assert failure_rate_p(failed_b, n_b, failed_a, n_a) == pytest.approx(p_value, abs=5e-5)


def test_equal_failures_everywhere_or_nowhere_say_nothing() -> None:
    assert failure_rate_p(0, 5, 0, 9) == 1.0
    assert failure_rate_p(5, 5, 9, 9) == 1.0


def test_worked_example() -> None:
    found = compare_with_failures(A, C, SCALE)
    assert found.trained is not None
    assert found.trained.p_value == pytest.approx(0.626, abs=5e-4)
    assert found.p_value == pytest.approx(2 * found.p_failed)
    assert found.interval is not None
    # The limits are quantiles of 20,000 draws; over seeds they scatter by about 0.05.
    assert (found.interval.low, found.interval.high) == pytest.approx((-1.58, 13.47), abs=0.2)


def test_swapping_the_groups_flips_the_interval_exactly() -> None:
    one, other = compare_with_failures(A, C, SCALE), compare_with_failures(C, A, SCALE)
    assert one.interval is not None
    assert other.interval == -one.interval
    assert other.p_value == pytest.approx(one.p_value)


def test_a_constant_added_to_everything_changes_no_difference() -> None:
    shifted_a = group([score + 8 for score in A.scores])
    shifted_c = group([78, 79, 77], failed=[60.7, 60.7])
    one = compare_with_failures(A, C, SCALE)
    other = compare_with_failures(shifted_a, shifted_c, Scale(step=0.01, constant=60.7))
    assert one.interval is not None
    assert other.interval is not None
    assert (other.interval.low, other.interval.high) == pytest.approx((one.interval.low, one.interval.high))


def test_a_group_that_never_trained_has_no_interval() -> None:
    found = compare_with_failures(group([], failed=[52.7] * 5), A, SCALE)
    assert found.interval is None
    assert found.trained is None
    assert found.p_value == pytest.approx(2 * failure_rate_p(5, 5, 0, 5))


def test_one_trained_run_borrows_the_other_groups_spread() -> None:
    lonely = group([70], failed=[52.7] * 4)
    found = compare_with_failures(lonely, A, SCALE)
    assert found.trained is None
    assert found.interval is not None
    assert found.interval.low < -10
    assert compare_with_failures(lonely, group([71], failed=[52.7]), SCALE).interval is None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.2])
def test_false_alarms_stay_within_the_level(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # Boschloo's p depends on four small counts, and the interval plays no part here.
    monkeypatch.setattr(failed_runs, "failure_rate_p", cache(failure_rate_p))
    monkeypatch.setattr(failed_runs, "DRAWS", 2)
    generator = np.random.default_rng(7)
    alarms = 0
    for _ in range(2000):
        groups = []
        for _ in range(2):
            scores, lost = generator.normal(80, 1, 10), generator.random(10) < share
            groups.append(group(scores[~lost].tolist(), failed=[68.0] * int(lost.sum())))
        alarms += compare_with_failures(groups[0], groups[1], SCALE).p_value <= 0.05
    assert alarms / 2000 <= 0.06


def test_interval_covers_the_true_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_runs, "failure_rate_p", lambda *counts: 1.0)
    monkeypatch.setattr(failed_runs, "DRAWS", 2_000)
    generator = np.random.default_rng(9)
    covered = 0
    for _ in range(400):
        lost = int(stats.binom.rvs(5, 0.2, random_state=generator))
        a = group(generator.normal(80, 1, 5 - lost).tolist(), failed=[68.0] * lost)
        b = group(generator.normal(80, 1, 5).tolist())
        interval = compare_with_failures(a, b, Scale(step=0.01, constant=68.0)).interval
        # No interval (nothing trained) makes no false claim.
        covered += interval is None or interval.low <= -0.2 * 12 <= interval.high
    assert covered / 400 >= 0.95

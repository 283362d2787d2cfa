import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from holdfast.study.statistics.intervals import welch
from holdfast.study.statistics.significance import holm, interim_note, permutation_p, sign_flip_p


def _mean_gap(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    gap: NDArray[np.float64] = np.mean(x, axis=axis) - np.mean(y, axis=axis)
    return gap


def test_permutation_worked_example() -> None:
    assert permutation_p([70, 71, 69, 72, 70], [66, 70, 68, 67, 69]) == pytest.approx(14 / 252)


def test_permutation_agrees_with_scipy_for_equal_groups() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.normal(0.8, 1, 6), generator.normal(0, 1, 6)
    oracle = stats.permutation_test((a, b), _mean_gap, permutation_type="independent", vectorized=True)
    assert permutation_p(a.tolist(), b.tolist()) == pytest.approx(oracle.pvalue)


def test_sign_flips_of_pairs_agree_with_scipy() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(0.5, 1, 10), generator.normal(0, 1, 10)
    oracle = stats.permutation_test((a - b,), np.mean, permutation_type="samples", vectorized=True)
    assert sign_flip_p(a.tolist(), b.tolist()) == pytest.approx(oracle.pvalue)


def test_smallest_p_of_few_runs() -> None:
    assert permutation_p([4, 5, 6], [1, 2, 3]) == pytest.approx(0.1)
    assert permutation_p([5, 6, 7, 8], [1, 2, 3, 4]) == pytest.approx(2 / 70)
    assert permutation_p([80.0] * 4, [80.0] * 4) == 1.0


def test_too_many_arrangements_give_no_p() -> None:
    assert permutation_p(list(range(10)), list(range(10))) is None
    assert sign_flip_p(list(range(16)), list(range(16))) is None


def test_holm_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_is_monotone_and_between_the_plain_p_and_bonferroni() -> None:
    p_values = np.random.default_rng(0).uniform(0, 0.3, 12).tolist()
    adjusted = [p for p in holm(p_values) if p is not None]
    order = np.argsort(p_values)
    assert np.all(np.diff(np.asarray(adjusted)[order]) >= 0)
    for plain, corrected in zip(p_values, adjusted, strict=True):
        assert plain <= corrected <= min(1.0, 12 * plain)


def test_an_untested_comparison_counts_in_the_family() -> None:
    assert holm([0.02, None, 0.5]) == [pytest.approx(0.06), None, pytest.approx(1.0)]
    assert holm([]) == []


def test_any_false_alarm_among_five_comparisons_stays_within_the_level() -> None:
    generator = np.random.default_rng(11)
    runs = generator.normal(size=(2000, 6, 5))
    # The vectorised oracle for the p values keeps this fast; the row below ties it to the package's own.
    p_values = stats.ttest_ind(runs[:, 1:], runs[:, :1], axis=2, equal_var=False).pvalue
    assert p_values[0, 0] == pytest.approx(welch(runs[0, 1].tolist(), runs[0, 0].tolist(), step=1e-6).p_value)
    alarms = sum(min(p for p in holm(row.tolist()) if p is not None) <= 0.05 for row in p_values)
    assert alarms / 2000 <= 0.06


@pytest.mark.parametrize(("analyses", "alpha"), [(0, 0.05), (1, 0.05), (2, 0.025), (3, 0.0221), (2, 0.0294)])
def test_silent_where_the_level_allows_for_the_looks(analyses: int, alpha: float) -> None:
    assert interim_note(analyses, alpha) is None


@pytest.mark.parametrize(
    ("analyses", "alpha", "rate"),
    [
        (2, 0.05, "about 8 % instead of 5 %"),
        (3, 0.05, "about 11 % instead of 5 %"),
        (4, 0.05, "about 13 % instead of 5 %"),
        (9, 0.05, "more than 13 % instead of 5 %"),
        (3, 0.025, "more than 2.5 %"),
        (2, 0.1, "more than 10 %"),
    ],
)
def test_tells_the_error_rate(analyses: int, alpha: float, rate: str) -> None:
    note = interim_note(analyses, alpha)
    assert note == f"Looked at {analyses} times with differing numbers of runs; the error rate is {rate}."

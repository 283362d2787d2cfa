import numpy as np
import pytest
from scipy import stats

from holdfast.study.statistics import holm, welch


def test_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_monotone_and_between_the_plain_p_and_bonferroni() -> None:
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

import re
import statistics

import pytest

from holdfast.report.synthetic.findings import findings, looseness
from holdfast.report.synthetic.numbers import find, number, rho, trend
from holdfast.report.synthetic.provenance import PAPER, REDERIVED, choices, expected
from holdfast.stability.correlations import Correlation
from holdfast.stability.simulations import Slope

pytestmark = pytest.mark.slow


def changed(results, factor, measure, middle, reach=0.1):
    """The results with another correlation, others held constant."""
    study = results.study
    old = find(study, factor, measure, held=True)
    new = old.model_copy(update={"rho": middle, "low": middle - reach, "high": middle + reach})
    correlations = tuple(new if one == old else one for one in study.correlations)
    return results.model_copy(update={"study": study.model_copy(update={"correlations": correlations})})


@pytest.mark.parametrize(("middle", "said"), [(-0.5, "falls"), (0.5, "rises"), (0.05, "")])
def test_a_trend_needs_its_whole_interval_on_one_side(middle, said):
    low, high = middle - 0.2, middle + 0.2
    assert trend(Slope(value=middle, low=low, high=high)) == said
    assert trend(Correlation(factor="n", measure="seed_spread", rho=middle, low=low, high=high, points=30)) == said
    assert trend(None) == ""


def test_a_correlation_as_text():
    one = Correlation(factor="n", measure="seed_spread", rho=-0.871, low=-0.9, high=-0.83, points=30)
    assert rho(one) == "−0.87 [−0.90, −0.83]"
    assert rho(None) == "–"


@pytest.mark.parametrize(
    ("value", "said"), [(0.015, "0.0150"), (1.3246, "1.32"), (467.3, "467"), (999.7, "1 000"), (2350.4, "2 350")]
)
def test_numbers_have_three_digits(value, said):
    assert number(value) == said


def test_what_is_said_of_a_factor_follows_its_interval(results):
    for middle, said in ((-0.6, r"falls with [^;]*steps \(ρ −0.60"), (0.0, r"no clear trend with [^;]*steps \(ρ 0.00")):
        first = findings(changed(results, "steps", "leave_one_out", middle))[0]
        assert re.search(said, first), first
        # Every factor is named once.
        assert [first.count(f"{name} (ρ") for name in ("sample size", "margin", "dimension", "steps", "heads")] == [
            1
        ] * 5


def test_the_bound_is_said_to_carry_a_level_only_where_it_does(results):
    def told(**update):
        return "\n".join(findings(results.model_copy(update={"study": results.study.model_copy(update=update)})))

    total = len(results.study.sets)
    assert f"for all {total} sets" in told(vacuous=total)
    assert "an order and no level" in told(vacuous=total)
    assert f"for 3 of {total} sets" in told(vacuous=3)
    assert "it carries a level" in told(vacuous=0)
    assert f"Measured above it: none of {total} sets" in told(above_bound=0)
    assert f"Measured above it: 2 sets of {total}" in told(above_bound=2)


def test_looseness_is_the_median_ratio(results):
    ratios = sorted(one.bound / one.leave_one_out for one in results.study.sets)
    assert looseness(results.study) == pytest.approx((ratios[19] + ratios[20]) / 2)
    assert f"{number(statistics.median(ratios))} times the measured distance" in "\n".join(findings(results))


def test_more_heads_are_said_to_enlarge_or_reduce_as_measured(results):
    sums, means = results.simulations.heads_sum, results.simulations.heads_mean
    ratio = means.means[-1] / means.means[0]
    assert f"50 heads enlarge the spread {number(ratio)} times" in "\n".join(findings(results))
    turned = results.simulations.model_copy(update={"heads_mean": sums})
    assert "50 heads reduce the spread" in "\n".join(findings(results.model_copy(update={"simulations": turned})))


@pytest.mark.parametrize(
    ("middle", "said"), [(-0.5, "yes"), (0.5, "the other way"), (-0.05, "not seen"), (0.05, "not seen")]
)
def test_what_theory_expects_is_judged_by_the_interval(results, middle, said):
    lines = {statement: seen for statement, _, seen in expected(changed(results, "margin", "leave_one_out", middle))}
    assert lines["a larger margin is more stable"].startswith(f"leave-one-out: {said}, ρ ")


def test_a_smaller_learning_rate_helps_where_the_distance_rises_with_it(results):
    shown = changed(results, "learning_rate_share", "leave_one_out", 0.5)
    (seen,) = [seen for statement, _, seen in expected(shown) if "learning rate" in statement]
    assert seen.startswith("leave-one-out: yes")


def test_what_is_whose_is_kept_apart(results):
    kinds = {whose for _, whose, _ in expected(results)}
    assert kinds == {"paper", "re-derived", "paper for full tuning, re-derived for heads"}
    # No number of a run stands among the paper's statements.
    assert not any(re.search(r"\d\.\d", line) for line in PAPER)
    assert any("sqrt(1 − μ/β) ≥ 1/(n − 1)" in line for line in REDERIVED)
    assert f"40 of {results.study.drawn} drawn" in "\n".join(choices(results.study))

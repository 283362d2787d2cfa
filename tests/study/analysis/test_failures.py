import math
from typing import Any

import pytest

from holdfast.records.run import RunRecord
from holdfast.study.analysis.failures import outcomes
from study.run_records import run_record, run_records

HEALTHY = run_records([0.7, 0.72, 0.71, 0.69])


def _judge_last(record: RunRecord, metric: str = "accuracy", constant: float = 50.0) -> tuple[float, bool]:
    outcome = outcomes([*HEALTHY, record], metric, constant)[-1]
    return outcome.score, outcome.failed


@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({}, False),
        ({"diverged": True}, True),
        ({"dominant_share": 0.99}, True),
        ({"dominant_share": 0.989}, False),
    ],
)
def test_flags_of_a_run_with_a_good_score(changes: dict[str, Any], failed: bool) -> None:
    assert _judge_last(run_record(0.7, seed=9, **changes))[1] is failed


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_an_undefined_score_counts_as_the_constant_prediction(score: float | None) -> None:
    assert _judge_last(run_record(score, seed=9)) == (50.0, True)


@pytest.mark.parametrize(("score", "failed"), [(0.5, True), (0.519, True), (0.521, False)])
def test_a_run_must_gain_a_tenth_of_what_the_median_run_gains(score: float, failed: bool) -> None:
    # Median of .69, .70, .71, .72 and the score is .70: the limit is 50 + 0.1 * 20 = 52 points.
    assert _judge_last(run_record(score, seed=9))[1] is failed


def test_nothing_is_judged_by_its_gain_when_the_median_run_gained_nothing() -> None:
    records = run_records([0.5, 0.48, 0.49])
    assert [outcome.failed for outcome in outcomes(records, "accuracy", 50.0)] == [False] * 3


def test_regression_fails_without_correlation() -> None:
    records = run_records([0.85, 0.84, 0.86, 0.02, None], primary="pearson", dominant_share=None)
    found = outcomes(records, "pearson", 0.0)
    assert [outcome.failed for outcome in found] == [False, False, False, True, True]
    assert found[4].score == 0.0


@pytest.mark.parametrize(("share", "failed"), [(0.99, False), (0.998, False), (0.9995, True), (1.0, True)])
def test_a_rare_class_that_is_found_is_no_failure(share: float, failed: bool) -> None:
    """1 % positives: a sound run also predicts one class for about 99 % of the rows."""
    constants = {"f1": 0.02, "accuracy": 0.99}
    run = run_record(0.6, seed=9, primary="f1", constant_scores=constants, dominant_share=share)
    assert outcomes([run], "f1", 2.0)[0].failed is failed


def test_reasons_are_told() -> None:
    runs = [*HEALTHY, run_record(0.7, seed=5, diverged=True), run_record(0.5, seed=6)]
    reasons = [outcome.reason for outcome in outcomes(runs, "accuracy", 50.0)]
    assert reasons == [
        None,
        None,
        None,
        None,
        "a loss or an output was not finite",
        "hardly better than a constant prediction",
    ]


def test_no_runs_give_no_outcomes() -> None:
    assert outcomes([], "accuracy", 50.0) == []


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("", "nearly all rows were predicted as one class"),
        ("TokenClassifier", "nearly all words were predicted as one class"),
        ("CausalLM", "the same text was written for nearly all rows"),
    ],
)
def test_a_collapse_is_told_by_what_the_model_does(form: str, told: str) -> None:
    """Also where the metric does not say it: parts of speech are scored by accuracy."""
    record = run_record(0.7, seed=9, dominant_share=1.0, form=form)
    assert outcomes([*HEALTHY, record], "accuracy", 50.0)[-1].reason == told

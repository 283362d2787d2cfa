from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks import compute, constant_score

LABELS = np.array([0, 0, 0, 1, 1, 0, 1, 0])
CHOICES = np.array([0, 1, 0, 1, 0, 0, 1, 1])
# By hand: tp 2, fp 2, fn 1, tn 3.
TP, FP, FN, TN = 2, 2, 1, 3


def logits(choices: Any, classes: int) -> Any:
    return np.eye(classes)[choices] * 3.0 - 1.0


def test_binary_scores_by_hand() -> None:
    scores = compute(["accuracy", "f1", "macro_f1", "matthews"], logits(CHOICES, 2), LABELS)
    f1 = 2 * TP / (2 * TP + FP + FN)
    other = 2 * TN / (2 * TN + FP + FN)
    root = math.sqrt((TP + FP) * (TP + FN) * (TN + FP) * (TN + FN))
    assert scores == pytest.approx(
        {"accuracy": 5 / 8, "f1": f1, "macro_f1": (f1 + other) / 2, "matthews": (TP * TN - FP * FN) / root}
    )


def test_three_classes_by_hand() -> None:
    labels, choices = np.array([0, 1, 2, 2, 1, 0]), np.array([0, 1, 1, 2, 2, 2])
    scores = compute(["accuracy", "macro_f1"], logits(choices, 3), labels)
    # F1 of each class: 2/3, 1/2, 2/5.
    assert scores == pytest.approx({"accuracy": 3 / 6, "macro_f1": (2 / 3 + 1 / 2 + 2 / 5) / 3})


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_correlations_by_hand(shape: tuple[int, ...]) -> None:
    x, y = np.array([1.0, 2.0, 4.0, 3.0, 10.0]), np.array([0.0, 1.0, 1.5, 2.0, 2.5])
    dx, dy = x - x.mean(), y - y.mean()
    ranks_x, ranks_y = np.array([1, 2, 4, 3, 5]), np.array([1, 2, 3, 4, 5])
    spearman = 1 - 6 * ((ranks_x - ranks_y) ** 2).sum() / (5 * 24)
    scores = compute(["pearson", "spearman"], x.reshape(shape), y)
    assert scores["pearson"] == pytest.approx((dx * dy).sum() / math.sqrt((dx**2).sum() * (dy**2).sum()))
    assert scores["spearman"] == pytest.approx(spearman)


def test_half_precision_outputs_do_not_overflow() -> None:
    values = np.array([100.0, 200.0, 300.0, 400.0], dtype=np.float16)
    assert compute(["pearson"], values, np.arange(4.0))["pearson"] == pytest.approx(1.0)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_constant_predictions_have_no_correlation(metric: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compute([metric], np.full((3, 1), 2.0), np.array([1.0, 2.0, 3.0])) == {metric: None}


def test_a_single_row_or_none() -> None:
    assert compute(["pearson", "spearman"], np.array([1.0]), np.array([1.0])) == {"pearson": None, "spearman": None}
    assert compute(["accuracy"], np.zeros((0, 2)), np.zeros(0)) == {"accuracy": None}


def test_constant_classes_score_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = compute(["accuracy", "f1", "macro_f1", "matthews"], logits(np.zeros(8, dtype=int), 2), LABELS)
        assert scores == pytest.approx({"accuracy": 5 / 8, "f1": 0.0, "macro_f1": (10 / 13) / 2, "matthews": 0.0})
        nothing_positive = compute(["f1"], logits(np.zeros(3, dtype=int), 2), np.zeros(3, dtype=int))
        assert nothing_positive == {"f1": None}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_outputs_that_are_not_finite_score_nothing(bad: float) -> None:
    outputs = logits(CHOICES, 2)
    outputs[3, 1] = bad
    assert compute(["accuracy", "f1"], outputs, LABELS) == {"accuracy": None, "f1": None}


@pytest.mark.parametrize("labels", [LABELS, np.array([0, 1, 1, 1]), np.array([2, 2, 1, 0, 2]), np.array([1, 1])])
@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "matthews"])
def test_the_constant_score_is_the_best_of_all_constants(metric: str, labels: Any) -> None:
    classes = max(labels.max() + 1, 2)
    tried = [compute([metric], logits(np.full(len(labels), c), classes), labels)[metric] for c in range(classes)]
    assert constant_score(metric, labels) == pytest.approx(max(score or 0.0 for score in tried))


def test_constant_scores_of_the_others() -> None:
    share = 3 / 8
    assert constant_score("f1", LABELS.tolist()) == pytest.approx(2 * share / (1 + share))
    assert constant_score("f1", [0, 0]) == 0.0
    assert constant_score("pearson", [1.0, 2.0]) == constant_score("spearman", [1.0, 2.0]) == 0.0


def test_unknown_metrics_are_told_with_the_nearest() -> None:
    with pytest.raises(HoldfastError, match="'acuracy', did you mean 'accuracy'"):
        compute(["acuracy"], np.zeros((1, 2)), np.zeros(1))
    with pytest.raises(HoldfastError, match="unknown metric 'bleu'"):
        constant_score("bleu", [1])

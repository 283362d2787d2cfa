"""Scores of a model's outputs. Every metric here is better when higher."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from holdfast.errors import HoldfastError, nearest

if TYPE_CHECKING:
    import numpy as np

    from holdfast.tasks.task import Labels

    Array = np.ndarray[Any, Any]


def compute(metrics: Sequence[str], outputs: Array, labels: Array) -> dict[str, float | None]:
    """Score outputs, ``(rows, classes)`` logits or ``(rows,)`` or ``(rows, 1)`` values, against ``(rows,)`` labels.

    Scores are on the metric's own scale (accuracy in 0..1). None where a score is undefined (a correlation
    with constant predictions, no rows) or where any output is not finite. Definitions are scikit-learn's and
    SciPy's; ``f1`` is that of class 1, ``macro_f1`` the mean over the classes that occur in labels or
    predictions. Raises ``HoldfastError`` for an unknown metric.
    """
    import numpy as np

    chosen = {name: _metric(name) for name in metrics}
    outputs = np.asarray(outputs)
    labels = np.asarray(labels)
    if not len(labels) or not np.isfinite(outputs).all():
        return dict.fromkeys(chosen)
    scores: dict[str, float | None] = {}
    for name, (score, of_classes) in chosen.items():
        predictions = outputs.argmax(axis=1) if of_classes else outputs.reshape(len(labels)).astype(np.float64)
        with warnings.catch_warnings():
            # Undefined scores are warned of there and None here.
            warnings.simplefilter("ignore")
            value = score(labels, predictions)
        scores[name] = None if math.isnan(value) else value
    return scores


def constant_score(metric: str, labels: Labels | Array) -> float:
    """What a constant prediction scores: the level that a useful model must exceed.

    Accuracy and macro-F1: always the most frequent class, of all rows or, where rows have lists of them, of all words.
    F1: always class 1. Correlations, Matthews' included: 0. Entities' F1: no entity anywhere, 0. ROUGE: nothing
    written, 0. Raises ``HoldfastError`` for an unknown metric.
    """
    import numpy as np

    if metric in OF_SEQUENCES:
        return 0.0
    if len(labels) and isinstance(labels[0], list):
        labels = [tag for row in cast(list[list[int]], labels) for tag in row]
    score, of_classes = _metric(metric)
    values = np.asarray(labels)
    if not of_classes or metric == "matthews" or not len(values):
        return 0.0
    constant = 1 if metric == "f1" else int(np.bincount(values.astype(int)).argmax())
    value = score(values, np.full(len(values), constant))
    return 0.0 if math.isnan(value) else value


OF_SEQUENCES = ("rouge1", "rouge2", "rougeL", "rougeLsum", "entity_f1")
"""Metrics that are no function of single predictions; see ``holdfast.tasks.scoring.rouge`` and ``entities``."""


def _accuracy(labels: Array, predictions: Array) -> float:
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def _f1(labels: Array, predictions: Array) -> float:
    from sklearn.metrics import f1_score

    positive = labels == 1, predictions == 1
    return float(f1_score(*positive, zero_division=math.nan))


def _macro_f1(labels: Array, predictions: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0))


def _matthews(labels: Array, predictions: Array) -> float:
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def _pearson(labels: Array, predictions: Array) -> float:
    from scipy.stats import pearsonr

    return float(pearsonr(labels, predictions).statistic) if len(labels) > 1 else math.nan


def _spearman(labels: Array, predictions: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(labels, predictions).statistic) if len(labels) > 1 else math.nan


_METRICS: dict[str, tuple[Callable[[Array, Array], float], bool]] = {
    "accuracy": (_accuracy, True),
    "f1": (_f1, True),
    "macro_f1": (_macro_f1, True),
    "matthews": (_matthews, True),
    "pearson": (_pearson, False),
    "spearman": (_spearman, False),
}
"""Each metric, and whether it scores predicted classes rather than values."""


def _metric(name: str) -> tuple[Callable[[Array, Array], float], bool]:
    if name not in _METRICS:
        raise HoldfastError(f"unknown metric {name!r}{nearest(name, _METRICS)}; known are {', '.join(_METRICS)}")
    return _METRICS[name]

"""Linear models of frozen features: scikit-learn's, their regularisation chosen by cross-validation."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.study.plan.references import FOLDS
from holdfast.tasks.task import Split, Task

_STRENGTHS = 10
"""Values of ``C`` that are tried: scikit-learn's own, from 1e-4 to 1e4."""
_ALPHAS = 9
_FIXED = 1.0
"""scikit-learn's default of ``C`` and ``alpha``, for too few rows to choose by."""


@dataclass(frozen=True)
class LinearOutputs:
    """What a linear model makes of rows it was not fitted on, and how its regularisation was chosen."""

    outputs: np.ndarray[Any, Any]
    """As ``metrics.compute`` takes them: for classes ``(rows, classes)``, 1 for the predicted one; else ``(rows,)``."""
    strength: float | None
    """``C``, for regression ``alpha``; None where there was nothing to learn."""
    folds: int
    """Of the cross-validation; 0 where a class, or the whole, has a single row, and the strength is 1."""


def fit_linear(task: Task, train: Split, features: Any, scored: Any) -> LinearOutputs:
    """Fit a logistic regression, or for numbers a ridge regression, and return what it makes of other rows.

    Deterministic. Folds are drawn, each class in proportion, since files are often sorted; there are at most as many
    as the smallest class has rows. The strength is the one of the least log loss, or squared error. Training rows of
    one class make that the prediction.

    Args:
        task: Of the rows: a class or a number each.
        train: The training rows.
        features: (n, width) theirs, dense or sparse.
        scored: (m, width) features of the rows to predict.
    """
    from threadpoolctl import threadpool_limits

    # Threads would mostly wait for each other, fifty times as long where other work shares the cores.
    with warnings.catch_warnings(), threadpool_limits(1):
        # Of strengths at which it did not converge, and of defaults that will change.
        warnings.simplefilter("ignore")
        if task.kind == "regression":
            return _ridge(np.asarray(train.numbers), features, scored)
        return _logistic(np.asarray(train.classes), len(task.label_names), features, scored)


def _logistic(labels: np.ndarray[Any, Any], classes: int, features: Any, scored: Any) -> LinearOutputs:
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    present, counts = np.unique(labels, return_counts=True)
    one_hot = np.eye(classes)
    if len(present) == 1:
        return LinearOutputs(one_hot[np.full(scored.shape[0], present[0])], None, 0)
    folds = min(FOLDS, int(counts.min()))
    if folds < 2:
        model = LogisticRegression(C=_FIXED).fit(features, labels)
        return LinearOutputs(one_hot[model.predict(scored)], _FIXED, 0)
    parts = StratifiedKFold(folds, shuffle=True, random_state=0)
    model = LogisticRegressionCV(Cs=_STRENGTHS, cv=parts, scoring="neg_log_loss").fit(features, labels)
    return LinearOutputs(one_hot[model.predict(scored)], float(np.ravel(model.C_)[0]), folds)


def _ridge(values: np.ndarray[Any, Any], features: Any, scored: Any) -> LinearOutputs:
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import KFold

    folds = min(FOLDS, len(values))
    if folds < 2:
        return LinearOutputs(Ridge(alpha=_FIXED).fit(features, values).predict(scored), _FIXED, 0)
    parts = KFold(folds, shuffle=True, random_state=0)
    alphas = np.logspace(-4, 4, _ALPHAS)
    model = RidgeCV(alphas=alphas, cv=parts, scoring="neg_mean_squared_error").fit(features, values)
    return LinearOutputs(model.predict(scored), float(model.alpha_), folds)

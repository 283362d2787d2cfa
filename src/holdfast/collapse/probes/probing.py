"""Linear probes: what a linear model can read from frozen features.

Logistic regression for classes, ridge regression for values, with an L2 penalty whose strength is chosen on training
rows that are held out. The rows that a probe is scored on choose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.rows import spans
from holdfast.collapse.probes.standardised import Standard, standard_of
from holdfast.collapse.probes.strengths import choose_strengths, held_out
from holdfast.collapse.probes.targets import Classes, Targets, Values
from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.scoring.metrics import compute

if TYPE_CHECKING:
    import numpy as np

    from holdfast.collapse.probes.linear import LinearFits

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Probed:
    """What probes score; see ``linear_probe``."""

    scores: dict[str, tuple[float | None, ...]]
    """By metric, one a seed, on the metric's own scale; None where undefined."""
    strengths: tuple[float, ...]
    """The penalty that each seed chose; empty where features are not finite and no probe was trained."""


def linear_probe(
    train: Array,
    labels: Array | Sequence[float],
    test: Array,
    test_labels: Array | Sequence[float],
    *,
    kind: Kind,
    classes: int,
    metrics: Sequence[str],
    seeds: int = 3,
    holdout: float = 0.2,
    strengths: Sequence[float] | None = None,
) -> Probed:
    """Train ``seeds`` probes on features and score them on others; deterministic.

    Features may lie in mapped memory. They are standardised by the mean and standard deviation of all training rows;
    constant ones are left out. Each seed holds out its own share of the training rows, each class in proportion and
    never the whole of one, fits every strength on the rest and takes the one with the least mean log loss (squared
    error) on the rows held out, of equals the strongest. The probe is then fitted with it on all training rows, so
    seeds that choose alike score alike. A strength ``lam`` is that of the objective
    mean loss + ``lam``/2 ||weights||^2, see ``fit_logistic`` and ``fit_ridge``, and means the same for any n.

    The grid runs from 100 down to 0.0001, two a decade; while its weakest is the best of a seed it goes on downwards by
    a decade, to 1e-8 at the least. Where no row can be held out, as every class has a single one, each seed takes the
    middle of the grid. Where the training rows are of one class, that is what the probe predicts, and the strongest is
    reported; a class without training rows is never predicted. A logistic regression that has not converged after 300
    steps, as with next to no penalty on wild features, is taken as it is.

    Working memory beside the arguments is at most two float32 copies of the training features and 0.5 GB.

    Args:
        train: (n, width) features, float32 or float64.
        labels: (n,) class indices below ``classes``, or values.
        test: (m, width) features.
        test_labels: (m,) labels of theirs.
        kind: Kind of the task: ridge regression for ``regression``, else logistic regression.
        classes: How many there are; of no meaning for values.
        metrics: What is scored.
        seeds: Probes to train.
        holdout: Share of the training rows that each seed holds out.
        strengths: Penalties to be tried as they are; None takes the grid.

    Returns:
        Scores, None where a metric is undefined, as without test rows, and all None where any feature is not finite: a
        model that diverged cannot be probed.

    Raises:
        HoldfastError: Arrays do not fit each other, a label is no class, there are no training rows, or an option is
            out of range.
    """
    import numpy as np

    _check(np.shape(train), np.shape(labels), np.shape(test), np.shape(test_labels), seeds, holdout, strengths)
    standard = standard_of(train)
    if standard is None or not _finite(test):
        return Probed(dict.fromkeys(metrics, (None,) * seeds), ())
    targets: Targets
    if kind == "regression":
        targets = Values(np.asarray(labels, dtype=np.float64))
    else:
        targets = Classes(_indices(labels, classes), classes)
    rows = np.ones((seeds, len(train)), dtype=bool)
    for seed in range(seeds):
        rows[seed, held_out(targets.strata, holdout, seed)] = False
    features = standard(train)
    chosen = choose_strengths(targets, features, rows, strengths)
    tried = sorted(set(chosen))
    fits = targets.fit(features, np.array(tried), np.ones((1, len(train)), dtype=bool))
    truth = np.asarray(test_labels)
    scores = {
        strength: compute(metrics, targets.predictions(outputs), truth)
        for strength, outputs in zip(tried, _outputs(fits, standard, test), strict=True)
    }
    return Probed({name: tuple(scores[strength][name] for strength in chosen) for name in metrics}, chosen)


def _outputs(fits: LinearFits, standard: Standard, features: Array) -> Array:
    """Return the outputs, ``(strengths, rows, outputs)``, of the first set's models."""
    import numpy as np

    _, strengths, outputs = fits.biases.shape
    outputs_by_strength = np.empty((strengths, len(features), outputs))
    for span in spans(*features.shape):
        outputs_by_strength[:, span] = fits.outputs(standard(features[span]), 0)
    return outputs_by_strength


def _finite(features: Array) -> bool:
    import numpy as np

    return all(np.isfinite(features[span]).all() for span in spans(*features.shape))


def _indices(labels: Array | Sequence[float], classes: int) -> Array:
    """Return class indices, checked."""
    import numpy as np

    given = np.asarray(labels)
    indices = given.astype(np.int64)
    wrong = np.flatnonzero((indices != given) | (indices < 0) | (indices >= classes))
    if len(wrong):
        raise HoldfastError(
            f"probe: training label {given[wrong[0]]} in row {wrong[0]} is no class; "
            f"give integers from 0 to {classes - 1}"
        )
    return indices


def _check(
    train: tuple[int, ...],
    labels: tuple[int, ...],
    test: tuple[int, ...],
    test_labels: tuple[int, ...],
    seeds: int,
    holdout: float,
    strengths: Sequence[float] | None,
) -> None:
    """Raise ``HoldfastError`` for shapes that do not fit each other and for options out of range."""
    for name, shape, of_labels in (("training", train, labels), ("test", test, test_labels)):
        if len(shape) != 2 or of_labels != shape[:1]:
            raise HoldfastError(
                f"probe: {name} features of shape {shape} with labels of shape {of_labels}; "
                f"give (rows, width) and one label a row"
            )
    if not train[0]:
        raise HoldfastError("probe: there are no training rows; give at least one")
    if train[1] != test[1]:
        raise HoldfastError(
            f"probe: {train[1]} features a training row but {test[1]} a test row; take both from one model and layer"
        )
    if seeds < 1:
        raise HoldfastError(f"probe: seeds {seeds}; train at least 1 probe")
    if not 0 < holdout < 1:
        raise HoldfastError(f"probe: holdout {holdout}; give a share between 0 and 1")
    if strengths is not None and (not len(strengths) or not all(0 < one < math.inf for one in strengths)):
        raise HoldfastError(f"probe: strengths {list(strengths)}; give positive numbers")

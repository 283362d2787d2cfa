"""Linear probes of a whole grid at once, as a ratio to scikit-learn's logistic regression on the same features.

    python benchmarks/probes.py --rows 1000,10000,50000 --classes 2,6 --json probes.json

The grid is that of a probe: 3 seeds, each with its own rows held out, times all strengths of the penalty, and the fits
with the strengths chosen on all rows. scikit-learn does it with ``LogisticRegressionCV``, on the same held-out rows and
strengths, which warm-starts each fit from the one before. One fit is that with the first seed's strength: what a user
pays who chooses nothing, with scikit-learn's ``LogisticRegression`` and with ours. All standardise the features within
their time, and scikit-learn keeps its own defaults, with steps enough to converge. Seconds are of processor time in
one thread, so that other work on the machine does not count. Features are synthetic, of overlapping classes, with a
spectrum that decays as that of a language model's states does.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from holdfast.collapse.probes.logistic import fit_logistic
from holdfast.collapse.probes.probing import linear_probe
from holdfast.collapse.probes.standardised import standard_of
from holdfast.collapse.probes.strengths import STRENGTHS, held_out

_WIDTH = 118
"""Columns of a table that is written to a file."""
_TEST_ROWS = 20_000
"""Enough for a tenth of a point to show."""
_SEEDS = 3
_HOLDOUT = 0.2
_STEPS = 10_000
"""Of scikit-learn's solver at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and save; return the exit code."""
    given = _options().parse_args(arguments)
    # What is imported at first use is paid here.
    measure(100, 4, 2, 1)
    with threadpool_limits(1):
        found = [measure(rows, given.width, classes, given.rounds) for classes in given.classes for rows in given.rows]
    _show(found)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(rows: int, width: int, classes: int, rounds: int) -> dict[str, float]:
    """Return our seconds, scikit-learn's as multiples of them, and the accuracies in points."""
    features, labels = synthetic(rows + _TEST_ROWS, width, classes)
    train, test = (features[:rows], labels[:rows]), (features[rows:], labels[rows:])

    def ours() -> Any:
        return linear_probe(
            *train,
            *test,
            kind="classification",
            classes=classes,
            metrics=["accuracy"],
            seeds=_SEEDS,
            holdout=_HOLDOUT,
        )

    probed, seconds = _timed(ours, rounds)
    accuracy, strength = probed.scores["accuracy"][0], probed.strengths[0]
    _, once = _timed(lambda: _ours_once(train, classes, strength), rounds)
    single, single_seconds = _timed(lambda: _single(train, test, strength), rounds)
    grid, grid_seconds = _timed(lambda: _grid(train, test), 1)
    return {
        "rows": rows,
        "width": width,
        "classes": classes,
        "seconds": seconds,
        "one_fit_seconds": once,
        "scikit_learn_grid": grid_seconds / seconds,
        "scikit_learn_one_fit": single_seconds / seconds,
        "one_fit_to_one_fit": single_seconds / once,
        "strength": strength,
        "accuracy": 100 * accuracy,
        "scikit_learn_one_fit_accuracy": 100 * single,
        "scikit_learn_grid_accuracy": 100 * grid,
        "difference": 100 * (accuracy - single),
    }


def synthetic(rows: int, width: int, classes: int) -> tuple[Any, Any]:
    """Return features, float32, and labels drawn from a logistic model of them, so that classes overlap."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((rows, width)) * np.arange(1, width + 1) ** -0.5
    logits = latent @ (2 * rng.standard_normal((width, classes)))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return (latent @ rotation + 0.3 * rng.standard_normal(width)).astype(np.float32), labels


def _ours_once(train: tuple[Any, Any], classes: int, strength: float) -> object:
    """Fit all rows with one strength."""
    standard = standard_of(train[0])
    assert standard is not None
    features = standard(train[0])
    return fit_logistic(features, train[1], classes, np.array([strength]), np.ones((1, len(features)), dtype=bool))


def _grid(train: tuple[Any, Any], test: tuple[Any, Any]) -> float:
    """Return the accuracy of scikit-learn's choice among the same strengths."""
    scaler = StandardScaler()
    features, labels = scaler.fit_transform(train[0]), train[1]
    every = np.arange(len(labels))
    held = [held_out(labels, _HOLDOUT, seed) for seed in range(_SEEDS)]
    folds = [(np.setdiff1d(every, rows), rows) for rows in held]
    kept = len(folds[0][0])
    with warnings.catch_warnings():
        # Which of its arguments and attributes are to change differs between its versions.
        warnings.simplefilter("ignore", FutureWarning)
        model = LogisticRegressionCV(
            Cs=[1 / (strength * kept) for strength in STRENGTHS], cv=folds, scoring="neg_log_loss", max_iter=_STEPS
        )
        model.fit(features, labels)
    return _accuracy(model, scaler, test)


def _single(train: tuple[Any, Any], test: tuple[Any, Any], strength: float) -> float:
    scaler = StandardScaler()
    features, labels = scaler.fit_transform(train[0]), train[1]
    model = LogisticRegression(C=1 / (strength * len(labels)), max_iter=_STEPS).fit(features, labels)
    return _accuracy(model, scaler, test)


def _accuracy(model: Any, scaler: Any, test: tuple[Any, Any]) -> float:
    # Not its ``score``: that of the one with a grid is what it chose by.
    return float((model.predict(scaler.transform(test[0])) == test[1]).mean())


def _timed(way: Callable[[], Any], rounds: int) -> tuple[Any, float]:
    """Return what it gives and the processor time of the fastest round."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        found = way()
        seconds.append(time.process_time() - start)
    return found, min(seconds)


def _show(found: list[dict[str, float]]) -> None:
    table = Table(title="Probes: the whole grid at once, and what scikit-learn (its) takes as multiples")
    headings = {
        "rows": "rows",
        "classes": "classes",
        "seconds": "grid, seconds",
        "scikit_learn_grid": "its grid / grid",
        "scikit_learn_one_fit": "its one fit / grid",
        "one_fit_to_one_fit": "its one fit / one fit",
        "accuracy": "accuracy",
        "scikit_learn_one_fit_accuracy": "its accuracy",
        "difference": "difference",
    }
    for heading in headings.values():
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(*(f"{one[name]:,}" if name in ("rows", "classes") else f"{one[name]:.4g}" for name in headings))
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(table)


def _options() -> argparse.ArgumentParser:
    def numbers(text: str) -> list[int]:
        return [int(one) for one in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=numbers, default=[1000, 10_000, 50_000])
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--classes", type=numbers, default=[2, 6])
    parser.add_argument(
        "--rounds", type=int, default=3, help="of which the fastest counts; scikit-learn's grid has one"
    )
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

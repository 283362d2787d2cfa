"""Run-to-run variance of a method on a task: what its runs differ in, at three granularities.

Scores, predictions and representations, after Du & Nguyen (ACL 2023, arXiv 2302.07778), who find that the standard
deviation of scores alone tells too little. Ours are the number of runs beside every mean, the range, the share of
failed runs, the n - 1 in the standard deviation (theirs divides by n), and the distance that the weights moved.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.measures.predictions import fleiss_kappa, jensen_shannon, pairwise_disagreement
from holdfast.measures.representations import LEAST_ROWS, RepresentationDistances, pairwise_representations, varies
from holdfast.records.summary import Instability, LayerInstability

_DISTANCES = [field.name for field in fields(RepresentationDistances)]


@dataclass(frozen=True)
class RunOutputs:
    """What one run came to."""

    score: float
    """In points."""
    failed: bool = False
    logits: NDArray[Any] | None = None
    """(rows, classes), the rows in the same order in every run; None for regression or where not kept."""
    states: NDArray[Any] | Sequence[NDArray[Any]] | None = None
    """By layer, the embeddings first: (rows, width), scaled in whatever way; None where not kept."""
    distance: float | None = None
    """Euclidean distance of the body's weights from the pre-trained ones."""
    start_distance: float | None = None
    """The same from the weights at which training on the task began."""


def measure_instability(runs: Sequence[RunOutputs]) -> Instability:
    """Return what ``runs``, at least one, of one method on one task differ in.

    Failed runs count, as failing is part of it; logits and states that are not finite are left out of the
    measures that need them, which say over how many runs they are. Raises ``HoldfastError`` for runs whose rows or
    layers do not match.
    """
    if not runs:
        raise HoldfastError("no runs: give the outputs of at least one")
    scores = [run.score for run in runs]
    logits = [run.logits for run in runs if run.logits is not None and np.isfinite(run.logits).all()]
    disagreement = js = kappa_distance = None
    if len(logits) > 1:
        shapes = sorted({run.shape for run in logits})
        if len(shapes) > 1:
            raise HoldfastError(f"logits have shapes {shapes[0]} and {shapes[-1]}: give runs on the same rows")
        stacked = np.stack(logits)
        labels = stacked.argmax(axis=-1)
        disagreement = pairwise_disagreement(labels)
        js = jensen_shannon(_softmax(stacked))
        kappa_distance = 1 - fleiss_kappa(labels)
    return Instability(
        runs=len(runs),
        score_std=stdev(scores) if len(scores) > 1 else None,
        score_range=max(scores) - min(scores),
        failed_share=sum(run.failed for run in runs) / len(runs),
        predicted_runs=len(logits),
        disagreement=disagreement,
        js=js,
        kappa_distance=kappa_distance,
        layers=_layers([run.states for run in runs if run.states is not None]),
        distance=_mean([run.distance for run in runs]),
        distance_start=_mean([run.start_distance for run in runs]),
    )


def _layers(runs: Sequence[NDArray[Any] | Sequence[NDArray[Any]]]) -> list[LayerInstability]:
    if len(runs) < 2 or len(runs[0][0]) < LEAST_ROWS:
        return []
    if len({len(states) for states in runs}) > 1:
        raise HoldfastError("runs have differing numbers of layers: give runs of one model")
    layers = []
    for layer, states in enumerate(zip(*runs, strict=True)):
        usable = [one for one in states if np.isfinite(one).all() and varies(one)]
        distances = asdict(pairwise_representations(usable)) if len(usable) > 1 else dict.fromkeys(_DISTANCES)
        layers.append(LayerInstability(layer=layer, runs=len(usable), **distances))
    return layers


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    raised = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None

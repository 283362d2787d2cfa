"""From what the runs of a study stored to how much of its results was luck."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.measures.representations import RepresentationDistances
from holdfast.records.run import Role, RunRecord
from holdfast.records.summary import LayerLuck, Luck
from holdfast.stability import measures
from holdfast.stability.measures import RunOutputs, luck_of
from holdfast.study.analysis.failures import Outcome, outcomes
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.store.layers import MeasuredLayers
from holdfast.study.store.run_store import Store, damaged

_OF_CLASSES = ("classification", "tokens", "choice")
"""Kinds of task whose predictions are classes, of rows or of words."""


def measure_luck(
    store: Store, records: Sequence[RunRecord], stored: Sequence[StoredTask], methods: Sequence[str]
) -> list[Luck]:
    """Return a row for each task and method with at least two finished runs, and one more for its perturbed data.

    A run failed when it did so beside all runs of its task that vary in the same. Models that give no states have no
    layers. Distances of layers are kept in the store's folder and measured again only where a run's file is new.
    Raises ``HoldfastError`` for files that cannot be read.
    """
    rows = []
    kept = MeasuredLayers(store.folder)
    for task in stored:
        own = [record for record in records if record.status == "finished" and record.spec.arm == task.arm]
        varied: Literal["seed", "data"]
        role: Role
        for varied, role in (("seed", "compared"), ("data", "perturbed")):
            alike = [record for record in own if record.spec.role == role]
            judged = list(zip(alike, outcomes(alike, task.info.metric, task.info.constant_score), strict=True))
            for method in methods:
                runs = [(record, outcome) for record, outcome in judged if record.spec.method == method]
                if len(runs) > 1:
                    files = [path for record, _ in runs if (path := _states(store, record)).is_file()]
                    before = kept.get(files)
                    luck = luck_of(_outputs(store, runs, task.info.kind, before is None))
                    layers = _layers(luck) if before is None else before
                    kept.put(files, layers)
                    rows.append(_row(task.info.task, method, varied, luck, layers))
    kept.save()
    return rows


def _row(task: str, method: str, varied: Literal["seed", "data"], luck: measures.Luck, layers: list[LayerLuck]) -> Luck:
    return Luck(
        task=task,
        method=method,
        varied=varied,
        runs=luck.runs,
        score_std=luck.score_std or 0.0,
        score_range=luck.score_range,
        failed_share=luck.failed_share,
        predicted_runs=luck.predicted_runs,
        disagreement=luck.disagreement,
        js=luck.js,
        kappa_distance=luck.kappa_distance,
        layers=layers,
        distance=luck.distance,
        distance_start=luck.start_distance,
    )


def _layers(luck: measures.Luck) -> list[LayerLuck]:
    return [LayerLuck(layer=one.layer, runs=one.runs, **_columns(one.distances)) for one in luck.layers]


def _columns(distances: RepresentationDistances | None) -> dict[str, float | None]:
    names = ("cka", "svcca", "procrustes")
    return {name: None if distances is None else float(getattr(distances, name)) for name in names}


def _outputs(store: Store, runs: Sequence[tuple[RunRecord, Outcome]], kind: str, with_states: bool) -> list[RunOutputs]:
    rows: dict[str, NDArray[Any]] = {}
    return [
        RunOutputs(
            score=outcome.score,
            failed=outcome.failed,
            logits=_read(_predictions(store, record), "logits", rows) if kind in _OF_CLASSES else None,
            states=_read(_states(store, record), "states", rows) if with_states else None,
            distance=record.distance,
            start_distance=record.start_distance,
        )
        for record, outcome in runs
    ]


def _predictions(store: Store, record: RunRecord) -> Path:
    return store.runs / record.id / "predictions.npz"


def _states(store: Store, record: RunRecord) -> Path:
    return store.runs / record.id / "representations.npz"


def _read(path: Path, name: str, rows: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """One array of a run's archive, None where there is none; ``rows`` keeps the first run's row ids by file."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as opened, np.load(opened) as saved:
            ids, array = saved["ids"], np.asarray(saved[name])
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise damaged(path, error) from None
    if not np.array_equal(rows.setdefault(path.name, ids), ids):
        raise HoldfastError(
            f"{path} holds other rows than the other runs' {path.name}; delete {path.parent} and start again"
        )
    return array

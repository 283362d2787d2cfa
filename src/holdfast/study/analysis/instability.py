"""From what the runs of a study stored to its run-to-run variance."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.records.run import Role, RunRecord
from holdfast.records.summary import InstabilityRow
from holdfast.stability.instability import RunOutputs, measure_instability
from holdfast.study.analysis.failures import Outcome, outcomes
from holdfast.study.plan.prepare import StoredTask
from holdfast.study.store.layers import MeasuredLayers
from holdfast.study.store.run_store import Store

_PREDICTIONS, _STATES = "predictions.npz", "representations.npz"
_OF_CLASSES = ("classification", "tokens", "choice")
"""Kinds of task whose predictions are classes, of rows or of words."""


def instability_rows(
    store: Store, records: Sequence[RunRecord], stored: Sequence[StoredTask], methods: Sequence[str]
) -> list[InstabilityRow]:
    """Return a row for each task and method with at least two finished runs, and one more for its perturbed data.

    A run failed when it did so beside all runs of its task that vary in the same. Models that give no states have no
    layers. Distances of layers are kept in the store's folder and measured again only where a run's file is new.
    Raises ``HoldfastError`` for files that cannot be read.
    """
    rows = []
    stored_layers = MeasuredLayers(store.folder)
    for task in stored:
        finished = [record for record in records if record.status == "finished"]
        own = [record for record in finished if record.spec.dataset_key == task.dataset_key]
        varied: Literal["seed", "data"]
        role: Role
        for varied, role in (("seed", "compared"), ("data", "perturbed")):
            alike = [record for record in own if record.spec.role == role]
            scored = list(zip(alike, outcomes(alike, task.info.metric, task.info.constant_score), strict=True))
            for method in methods:
                runs = [(record, outcome) for record, outcome in scored if record.spec.method == method]
                if len(runs) > 1:
                    files = [path for record, _ in runs if (path := store.runs / record.id / _STATES).is_file()]
                    layers = stored_layers.get(files)
                    measured = measure_instability(_outputs(store, runs, task.info.kind, layers is None))
                    if layers is not None:
                        measured.layers = layers
                    stored_layers.put(files, measured.layers)
                    rows.append(InstabilityRow(task=task.info.task, method=method, varied=varied, **dict(measured)))
    stored_layers.save()
    return rows


def _outputs(store: Store, runs: Sequence[tuple[RunRecord, Outcome]], kind: str, with_states: bool) -> list[RunOutputs]:
    rows: dict[str, NDArray[Any]] = {}
    return [
        RunOutputs(
            score=outcome.score,
            failed=outcome.failed,
            logits=_read(store, record.id, _PREDICTIONS, "logits", rows) if kind in _OF_CLASSES else None,
            states=_read(store, record.id, _STATES, "states", rows) if with_states else None,
            distance=record.distance,
            start_distance=record.start_distance,
        )
        for record, outcome in runs
    ]


def _read(store: Store, run: str, file: str, name: str, rows: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """One array of a run's archive, None where there is none; ``rows`` has the first run's row ids by file."""
    arrays = store.arrays(run, file, "ids", name)
    if arrays is None:
        return None
    ids, array = arrays
    if not np.array_equal(rows.setdefault(file, ids), ids):
        path = store.runs / run / file
        raise HoldfastError(
            f"{path} holds other rows than the other runs' {file}; delete {path.parent} and start again"
        )
    return array

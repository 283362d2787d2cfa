"""From what the runs of a study stored to how much of its results was luck."""

from collections.abc import Sequence
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.stability.measures import RunOutputs, luck_of
from holdfast.stability.representations import RepresentationDistances
from holdfast.study.failures import Outcome, outcomes
from holdfast.study.prepare import StoredTask
from holdfast.study.store import Store, damaged
from holdfast.study.summary import LayerLuck, Luck
from holdfast.training.spec import RunRecord


def measure_luck(
    store: Store, records: Sequence[RunRecord], stored: Sequence[StoredTask], methods: Sequence[str]
) -> list[Luck]:
    """Return a row for each task and method with at least two finished runs, and one more for its perturbed data.

    A run failed when it did so beside all runs of its task that vary in the same. Runs from before states were
    stored, and models that give none, have no layers. Raises ``HoldfastError`` for files that cannot be read.
    """
    rows = []
    for task in stored:
        own = [record for record in records if record.status == "finished" and record.spec.task.source == task.source]
        varied: Literal["seed", "data"]
        for varied in ("seed", "data"):
            alike = [record for record in own if (record.spec.perturb is not None) == (varied == "data")]
            judged = list(zip(alike, outcomes(alike, task.info.metric, task.info.constant_score), strict=True))
            for method in methods:
                runs = [(record, outcome) for record, outcome in judged if record.spec.method == method]
                if len(runs) > 1:
                    given = _outputs(store, runs, task.info.kind)
                    rows.append(_row(task.info.task, method, varied, given))
    return rows


def _row(task: str, method: str, varied: Literal["seed", "data"], runs: Sequence[RunOutputs]) -> Luck:
    luck = luck_of(runs)
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
        layers=[LayerLuck(layer=one.layer, runs=one.runs, **_columns(one.distances)) for one in luck.layers],
        distance=luck.distance,
        distance_start=luck.start_distance,
    )


def _columns(distances: RepresentationDistances | None) -> dict[str, float | None]:
    names = ("cka", "svcca", "procrustes")
    return {name: None if distances is None else float(getattr(distances, name)) for name in names}


def _outputs(store: Store, runs: Sequence[tuple[RunRecord, Outcome]], kind: str) -> list[RunOutputs]:
    rows: dict[str, NDArray[Any]] = {}
    return [
        RunOutputs(
            score=outcome.score,
            failed=outcome.failed,
            logits=_read(store, record, "predictions.npz", "logits", rows) if kind == "classification" else None,
            states=_read(store, record, "representations.npz", "states", rows),
            distance=record.distance,
            start_distance=record.start_distance,
        )
        for record, outcome in runs
    ]


def _read(store: Store, record: RunRecord, file: str, name: str, rows: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
    """One array of a run's archive, None where there is none; ``rows`` keeps the first run's row ids by file."""
    path = store.runs / record.id / file
    if not path.is_file():
        return None
    try:
        with path.open("rb") as opened, np.load(opened) as saved:
            ids, array = saved["ids"], np.asarray(saved[name])
    except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
        raise damaged(path, error) from None
    if not np.array_equal(rows.setdefault(file, ids), ids):
        raise HoldfastError(
            f"{path} holds other rows than the other runs' {file}; delete {path.parent} and start again"
        )
    return array

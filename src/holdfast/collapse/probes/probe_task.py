"""What linear probes of one frozen model score on one task."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.features import extract_features
from holdfast.errors import HoldfastError
from holdfast.records.run import ProbeScore, ProbeSettings
from holdfast.tasks.kinds.predicted import check_labels_rows
from holdfast.tasks.sampling.subset import draw_subset
from holdfast.tasks.task import Split, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

SUBSET_SEED = 0
"""Which training rows are drawn: the same for all models and probe seeds."""


def probe_task(
    model: nn.Module,
    tokenizer: Any,
    task: Task,
    settings: ProbeSettings,
    *,
    max_length: int,
    batch_size: int,
    folder: Path,
) -> ProbeScore:
    """Train probes on ``task``'s training rows and score them on its scored split.

    ``model``: a sequence classifier, whose head is ignored and whose number of outputs need not be the task's; it
    comes back as it was. Features are written into ``folder`` and left there. Raises ``HoldfastError`` for a layer or
    pooling that the model does not have, and for a task without labelled rows to learn from or to score.
    """
    began = time.perf_counter()
    train, scored = probe_rows(task, settings.rows)
    options: dict[str, Any] = {"kind": task.kind, "layers": [settings.layer], "pooling": settings.pooling}
    options |= {"max_length": max_length, "batch_size": batch_size}
    learnt_from = extract_features(model, tokenizer, train, **options, folder=folder / "train")
    scored_on = extract_features(model, tokenizer, scored, **options, folder=folder / "scored")
    return score_probes(
        task,
        (learnt_from.layer(settings.layer), train),
        (scored_on.layer(settings.layer), scored),
        seeds=settings.seeds,
        layer=settings.layer % learnt_from.count,
        began=began,
    )


def probe_rows(task: Task, rows: int | None) -> tuple[Split, Split]:
    """Return the training rows that probes learn from, at most ``rows`` of them, and those that they are scored on.

    Raises ``HoldfastError`` for a task without a class or a number a row, where one of the splits is missing or has no
    labels, and for fewer ``rows`` than classes.
    """
    check_labels_rows(task, "probes learn a class or a number a row; leave it out")
    splits = {name: task.splits.get(name) for name in ("train", task.scored_split)}
    for name, split in splits.items():
        if split is None or split.labels is None or not len(split):
            what = "learn from" if name == "train" else "be scored on"
            raise HoldfastError(f"task {task.name}: it has no labelled {name} split for probes to {what}")
    train, scored = (split for split in splits.values() if split is not None)
    if rows is None:
        return train, scored
    try:
        return draw_subset(train, rows, SUBSET_SEED, task.kind), scored
    except HoldfastError as error:
        raise HoldfastError(f"task {task.name}: {error}") from None


def score_probes(
    task: Task,
    train: tuple[NDArray[np.float32], Split],
    scored: tuple[NDArray[np.float32], Split],
    *,
    seeds: int,
    layer: int,
    began: float,
) -> ProbeScore:
    """Train and score probes on features, (rows, width), of these rows. ``began``: of ``time.perf_counter``."""
    import numpy as np

    from holdfast.collapse.probes.probing import linear_probe

    metric = task.metrics[0]
    features, rows = train
    scored_features, scored_rows = scored
    probed = linear_probe(
        features,
        np.asarray(rows.labels),
        scored_features,
        np.asarray(scored_rows.labels),
        kind=task.kind,
        classes=len(task.label_names),
        metrics=[metric],
        seeds=seeds,
    )
    return ProbeScore(
        metric=metric,
        scores=list(probed.scores[metric]),
        strengths=list(probed.strengths),
        layer=layer,
        seconds=time.perf_counter() - began,
    )

"""A run that fits a reference: a linear model of features that no training changed."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.collapse.probes.checkpoints import load_classifier
from holdfast.collapse.probes.features import extract_features
from holdfast.records.run import RunRecord, RunSpec
from holdfast.study.run.linear_model import fit_linear
from holdfast.tasks.scoring.metrics import compute, constant_score
from holdfast.tasks.task import Split, Task
from holdfast.training.quiet import quiet
from holdfast.training.run.progress import OnProgress, Progress
from holdfast.training.run.rows import training_rows

_TERMS = 50_000
"""Of all words and pairs of words, the most frequent: more take memory for every class."""


def fit_reference(spec: RunSpec, task: Task, folder: Path, on_progress: OnProgress) -> RunRecord:
    """Fit the reference of ``spec`` on the training rows that methods train on, and score it as they are scored.

    ``folder`` holds features meanwhile. Raises whatever keeps it from being fitted: texts without words, a model
    without hidden states.
    """
    began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    on_progress(Progress(0, 0, "fitting", None))
    train, _ = training_rows(spec, task, [])
    scored = task.splits[task.scored_split]
    features = _tfidf(train, scored) if spec.reference == "tfidf" else _embeddings(spec, task, train, scored, folder)
    fitted = fit_linear(task, train, *features)
    labels = np.asarray(scored.labels or [])
    facts = {"folds": float(fitted.folds)}
    return RunRecord(
        id=spec.id,
        spec=spec,
        status="finished",
        task_name=task.name,
        scored_split=task.scored_split,
        metrics=compute(task.metrics, fitted.outputs, labels),
        primary=task.metrics[0],
        constant_scores={name: constant_score(name, labels) for name in task.metrics},
        facts=facts if fitted.strength is None else {**facts, "strength": fitted.strength},
        train_rows=len(train),
        scored_rows=len(scored),
        seconds=time.perf_counter() - began,
        started=started,
    )


def _tfidf(train: Split, scored: Split) -> tuple[Any, Any]:
    """Return TF-IDF of words and pairs of words, (rows, terms); of a pair's second texts beside those of the first."""
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    learnt, read = [], []
    for ours, theirs in ((train.texts, scored.texts), (train.pairs, scored.pairs)):
        if ours is not None and theirs is not None:
            vectorizer = TfidfVectorizer(ngram_range=(1, 2), max_features=_TERMS)
            learnt.append(vectorizer.fit_transform(ours))
            read.append(vectorizer.transform(theirs))
    return hstack(learnt).tocsr(), hstack(read).tocsr()


def _embeddings(spec: RunSpec, task: Task, train: Split, scored: Split, folder: Path) -> tuple[Any, Any]:
    """Return the means over tokens of the pre-trained model's last layer, (rows, width), standardised."""
    from sklearn.preprocessing import StandardScaler

    with quiet():
        # Of the head, which is not used, it would tell that it is new.
        model, tokenizer = load_classifier(spec.source)
    options: dict[str, Any] = {
        "kind": task.kind,
        "pooling": "mean",
        "max_length": spec.settings.max_length,
        "batch_size": spec.settings.eval_batch_size,
    }
    place = folder / "features"
    try:
        learnt, read = (
            # In memory, as the files go.
            extract_features(model, tokenizer, split, **options, folder=place / name).layer(-1).copy()
            for name, split in (("train", train), ("scored", scored))
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    scaler = StandardScaler()
    return scaler.fit_transform(learnt), scaler.transform(read)

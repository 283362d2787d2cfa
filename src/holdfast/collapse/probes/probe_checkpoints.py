"""Probes of several checkpoints and of the pre-trained model, on the same rows of the same tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from holdfast.collapse.probes.cache import FeatureCache, Source, model_digest, rows_digest
from holdfast.collapse.probes.checkpoints import check_checkpoint, load_classifier, model_files, refuse_other_bodies
from holdfast.collapse.probes.features import Features, extract_features
from holdfast.collapse.probes.probe_task import probe_rows, score_probes
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.records.probes import LayerScore, ProbedModel, ProbedOn, ProbeResults, layer_score, short_names
from holdfast.records.run import ProbeScore
from holdfast.tasks.task import Split, Task

if TYPE_CHECKING:
    from holdfast.training.models.hidden_states import Pooling

OnProgress = Callable[[str, int, int], None]
"""Told what is under way, and how many of how many models on tasks are done."""


@dataclass(frozen=True)
class ProbePlan:
    """How checkpoints are probed."""

    layers: Sequence[int] | Literal["all"] = (-1,)
    pooling: Pooling = "auto"
    train_size: int | None = None
    """Training rows that probes learn from, drawn stratified; None takes all."""
    seeds: int = 3
    max_length: int = 128
    batch_size: int = 64


def probe_checkpoints(
    pretrained: ModelSource,
    checkpoints: Sequence[ModelSource],
    tasks: Sequence[Task],
    plan: ProbePlan,
    cache: FeatureCache,
    on_progress: OnProgress | None = None,
) -> ProbeResults:
    """Train and score probes of every model on every task; features that ``cache`` holds are not extracted again.

    Raises ``HoldfastError`` for models that cannot be loaded, are given twice, or are not of the pre-trained one's
    kind and size, for tasks of the same name, and for layers, poolings and lengths that a model does not have.
    """
    report = on_progress or (lambda state, done, total: None)
    names = short_names(pretrained.name, [one.name for one in checkpoints])
    sources = [pretrained, *checkpoints]
    for source in sources:
        check_checkpoint(source)
        _check_lengths(source, plan.max_length)
    refuse_other_bodies(pretrained, list(checkpoints))
    _refuse_same_names(tasks)
    rows = {task.name: probe_rows(task, plan.train_size) for task in tasks}
    probed = []
    scores: dict[tuple[str, int, str], LayerScore] = {}
    total = len(sources) * len(tasks)
    for place, (name, source) in enumerate(zip(names, sources, strict=True)):
        report(f"{name}: reading its files", place * len(tasks), total)
        digest = model_digest(model_files(source))
        probed.append(ProbedModel(name=name, source=source.name, digest=digest))
        reader = _Reader(source, digest, plan, cache)
        for index, task in enumerate(tasks):
            done = place * len(tasks) + index

            def show(state: str, name: str = name, task: Task = task, done: int = done) -> None:
                report(f"{name} on {task.name}: {state}", done, total)

            for score in _probe(reader, task, rows[task.name], plan, show):
                start = scores.get((task.name, score.layer, names[0]))
                scores[task.name, score.layer, name] = layer_score(name, task.name, score, start)
    report("done", total, total)
    order = {task.name: index for index, task in enumerate(tasks)}
    return ProbeResults(
        pretrained=probed[0],
        checkpoints=probed[1:],
        tasks=[_probed_on(task, *rows[task.name], plan, pretrained) for task in tasks],
        pooling=plan.pooling,
        max_length=plan.max_length,
        seeds=plan.seeds,
        scores=sorted(scores.values(), key=lambda one: (order[one.task], one.layer, names.index(one.model))),
    )


@dataclass
class _Reader:
    """A model that is loaded when features of it are first missing."""

    source: ModelSource
    digest: str
    plan: ProbePlan
    cache: FeatureCache
    loaded: tuple[Any, Any] | None = field(default=None, init=False)

    def features(self, split: Split, task: Task, show: Callable[[str], None]) -> Features:
        plan = self.plan

        def extract(layers: Sequence[int] | Literal["all"], folder: Path) -> Features:
            if self.loaded is None:
                show("loading")
                self.loaded = load_classifier(self.source)
            return extract_features(
                *self.loaded,
                split,
                kind=task.kind,
                layers=layers,
                pooling=plan.pooling,
                max_length=plan.max_length,
                batch_size=plan.batch_size,
                folder=folder,
                on_rows=lambda done, rows: show(f"features of row {done}/{rows}"),
            )

        made_of = Source(self.digest, rows_digest(split), plan.pooling, plan.max_length)
        return self.cache.features(made_of, plan.layers, extract)


def _probe(
    reader: _Reader, task: Task, rows: tuple[Split, Split], plan: ProbePlan, show: Callable[[str], None]
) -> Iterator[ProbeScore]:
    train, scored = rows
    began = time.perf_counter()
    learnt_from, scored_on = reader.features(train, task, show), reader.features(scored, task, show)
    for layer in learnt_from.files:
        show(f"probes of layer {layer}")
        yield score_probes(
            task,
            (learnt_from.layer(layer), train),
            (scored_on.layer(layer), scored),
            seeds=plan.seeds,
            layer=layer,
            began=began,
        )
        began = time.perf_counter()


def _check_lengths(source: ModelSource, length: int) -> None:
    """Raise ``HoldfastError`` where the model has fewer positions or words than its texts would have."""
    from holdfast.training.models.loading import load_tokenizer, model_config
    from holdfast.training.run.check import check_lengths

    check_lengths(source.name, model_config(source), load_tokenizer(source), length)


def _refuse_same_names(tasks: Sequence[Task]) -> None:
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise HoldfastError(f"--tasks: two are named {name!r}; name each once, or rename a file")


def _probed_on(task: Task, train: Split, scored: Split, plan: ProbePlan, pretrained: ModelSource) -> ProbedOn:
    from holdfast.tasks.encode import count_cut
    from holdfast.tasks.scoring.metrics import constant_score
    from holdfast.tasks.unknown import unknown_notes
    from holdfast.training.models.loading import load_tokenizer

    warnings = list(task.warnings)
    if plan.train_size is not None and plan.train_size > len(train):
        warnings.append(
            f"--train-size {plan.train_size}: there are only {len(train)} training rows, and all of them are used"
        )
    tokenizer = load_tokenizer(pretrained)
    cut = {name: count_cut(split, tokenizer, plan.max_length) for name, split in (("train", train), ("scored", scored))}
    if any(cut.values()):
        warnings.append(
            f"{cut['train']} of {len(train)} training and {cut['scored']} of {len(scored)} scored texts are longer "
            f"than {plan.max_length} tokens and are cut; see --max-length"
        )
    notes, unread = unknown_notes({"train": train, "scored": scored}, tokenizer, task.kind)
    metric = task.metrics[0]
    return ProbedOn(
        task=task.name,
        metric=metric,
        train_rows=len(train),
        scored_split=task.scored_split,
        scored_rows=len(scored),
        constant_score=100 * constant_score(metric, scored.labels or []),
        notes=[*task.notes, *notes],
        warnings=[*warnings, *unread],
    )

"""What models are scored on beside their own task: other tasks as they are, and tasks under linear probes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from holdfast.errors import HoldfastError
from holdfast.records.run import OtherTask, RunSpec
from holdfast.records.summary import Target
from holdfast.records.task import OodSpec, TaskSpec
from holdfast.study.define.study_file import StudyFile
from holdfast.tasks.task import Labels, Split, Task

LoadedTasks = Mapping[TaskSpec | OodSpec, Task]
"""Loaded tasks. One that is scored as it is may have other rows than the same one to train or probe on."""


class StoredTarget(BaseModel):
    """What a study's folder keeps of a target's data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskSpec
    data: str
    """Fingerprint."""


def load_targets(
    study: StudyFile, own: Mapping[TaskSpec, Task], data_dir: Path | None
) -> dict[TaskSpec | OodSpec, Task]:
    """Return the tasks that ``study`` names beside its own, loaded, after every check that needs no training: out of
    domain ones first, each in the order of ``study``.

    Raises ``HoldfastError`` for data that cannot be loaded or probed, for classes that cannot be mapped, and for
    names that cannot be told apart in a table.
    """
    from holdfast.collapse.probes.probe_task import probe_rows
    from holdfast.tasks import load_evaluation, load_task

    ood: dict[TaskSpec | OodSpec, Task] = {one: load_evaluation(one.task, data_dir) for one in study.ood}
    probed = {spec: own.get(spec) or load_task(spec, data_dir) for spec in study.probed}
    for task in probed.values():
        try:
            probe_rows(task, study.probe.rows)
        except HoldfastError as error:
            raise HoldfastError(str(error).replace("--train-size", "--probe-rows")) from None
    _refuse_same_names("--ood", [(one.task.source, ood[one].name) for one in study.ood], own)
    _refuse_same_names("--probe", [(spec.source, probed[spec].name) for spec in study.probed], {})
    return {**ood, **dict[TaskSpec | OodSpec, Task](probed.items())}


def load_eval_tasks(spec: RunSpec, data_dir: Path | None) -> dict[OtherTask, Task]:
    """Return the tasks that a run is scored on beside its own, loaded as ``load_targets`` does."""
    from holdfast.tasks import load_evaluation, load_task

    ood = {target: load_evaluation(target.task, data_dir) for target in spec.ood}
    return ood | {target: load_task(target.task, data_dir) for target in spec.probed}


def eval_tasks_of(spec: RunSpec, tasks: LoadedTasks) -> dict[OtherTask, Task]:
    """Return what ``load_eval_tasks`` would, from all the study's ``tasks``."""
    ood = {target: tasks[OodSpec(task=target.task, labels=target.labels)] for target in spec.ood}
    return ood | {target: tasks[target.task] for target in spec.probed}


def targets_of(task: Task, train: Split, study: StudyFile, eval_tasks: LoadedTasks) -> list[Target]:
    """Return what models tuned on the rows ``train`` of ``task`` are scored on beside it, in the order of the tables.

    ``eval_tasks``: all the study's other tasks. Raises ``HoldfastError`` for classes that cannot be mapped.
    """
    targets = [_further_split(task, train, name) for name in further_splits(task)]
    targets += [_ood(task, train, eval_tasks[one], one.labels) for one in study.ood]
    targets += _means(targets)
    return [*targets, *(_probed(task, train, eval_tasks[spec]) for spec in study.probed)]


def further_splits(task: Task) -> list[str]:
    """Return the labelled splits of ``task`` that are neither trained on, nor select, nor make its score."""
    used = {"train", "validation", task.scored_split}
    return [name for name, split in task.splits.items() if name not in used and split.labels is not None]


def _further_split(task: Task, train: Split, name: str) -> Target:
    return _target(
        name, "ood", task, name, task.metrics[0], task.splits[name].labels or [], _overlap(task, train, name)
    )


def _ood(task: Task, train: Split, other: Task, declared: tuple[tuple[str, str], ...]) -> Target:
    from holdfast.tasks.scoring.mapping import map_labels, metrics_of

    scored = other.splits[other.scored_split]
    labels = scored.labels or []
    mapped = map_labels(task, other, declared)
    notes = [*other.notes, *other.warnings, *_overlap(other, train, other.scored_split)]
    if mapped is not None:
        labels = mapped.labels(scored.classes)
        notes += [mapped.note] if mapped.note else []
    return _target(other.name, "ood", other, other.scored_split, metrics_of(mapped, other)[0], labels, notes)


def _means(targets: Sequence[Target]) -> list[Target]:
    """Return for each family of languages of which there are several their mean."""
    from holdfast.tasks.catalogue import NAMED

    families: dict[str, list[Target]] = {}
    for target in targets:
        family = NAMED[target.name].family if target.name in NAMED else ""
        if family:
            families.setdefault(family, []).append(target)
    return [
        Target(
            name=f"{family}, mean of {len(members)}",
            kind="ood",
            metric=members[0].metric,
            # The same rows in other languages are no new rows.
            rows=min(one.rows for one in members),
            constant_score=fmean(one.constant_score for one in members),
            split=members[0].split,
            notes=[f"the mean over {', '.join(one.name for one in members)}, of each run"],
            members=[one.name for one in members],
        )
        for family, members in families.items()
        if len(members) > 1
    ]


def _probed(task: Task, train: Split, other: Task) -> Target:
    labels = other.splits[other.scored_split].labels or []
    # Where a task is probed itself, its own warnings tell its overlap.
    shared = [] if other.fingerprint == task.fingerprint else _overlap(other, train, other.scored_split)
    notes = [*other.notes, *other.warnings, *shared]
    return _target(other.name, "probe", other, other.scored_split, other.metrics[0], labels, notes)


def _target(
    name: str,
    kind: Literal["ood", "probe"],
    task: Task,
    split: str,
    metric: str,
    labels: Labels,
    notes: list[str],
) -> Target:
    from holdfast.tasks.scoring.metrics import constant_score

    return Target(
        name=name,
        kind=kind,
        metric=metric,
        rows=len(task.splits[split]),
        constant_score=100 * constant_score(metric, labels),
        split=split,
        notes=notes,
    )


def _overlap(task: Task, train: Split, split: str) -> list[str]:
    from holdfast.tasks.overlap import overlapping

    scored = task.splits[split]
    shared = overlapping(train, scored)
    if not shared:
        return []
    return [f"{shared} of its {len(scored)} rows also stand in the rows tuned on, so its scores flatter"]


def _refuse_same_names(option: str, given: Sequence[tuple[str, str]], own: Mapping[TaskSpec, Task]) -> None:
    """Raise ``HoldfastError`` where two targets of a kind, or one and a split of the study's tasks, share a name.

    ``given``: sources and names.
    """
    named: dict[str, str] = {name: f"a split of {task.name}" for task in own.values() for name in further_splits(task)}
    for source, name in given:
        if name in named:
            raise HoldfastError(
                f"{option} {source}: {named[name]} is named {name!r} too; tables tell them apart by name, "
                "so name each once, or rename a file"
            )
        named[name] = source

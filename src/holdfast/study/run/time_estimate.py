"""About how long a study will take: a few real steps of every method, timed here and now."""

import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.records.run import OtherTask, RunSpec, TrainingSettings
from holdfast.study.plan.prepare import Prepared
from holdfast.study.plan.targets import eval_tasks_of
from holdfast.study.run.executors.environment import threads_per_worker, use_threads
from holdfast.tasks.sampling.removal import rows_removed
from holdfast.tasks.task import Split, Task

STEPS = 5
"""Optimizer steps timed for each method; the first is left out, since it also warms everything up."""


_FITTING = 1e-3
"""Seconds a row that fitting a linear model takes, by order of magnitude."""

_ALONE: dict[str, object] = {"after": None, "ood": (), "probed": (), "probe": None, "monitor": None}
"""What is left out of the runs that are timed."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that runs are expected to take."""

    runs: dict[str, float]
    """By run id, the start of the run's process included."""
    slots: int

    def total(self, specs: Sequence[RunSpec]) -> float:
        """Return the seconds until all of ``specs`` are done, as many at a time as there are slots."""
        each = [self.runs[spec.id] for spec in specs]
        return max([sum(each) / self.slots, *each], default=0.0)


@dataclass(frozen=True)
class _Timing:
    step: float
    """Seconds of an optimizer step."""
    around: float
    """Seconds of loading the model and of all else that does not grow with the rows."""
    passes: float = 0.0
    """Over the training rows, before the task's own training."""
    pass_step: float = 0.0
    """Seconds of an optimizer step of these."""

    def training(self, settings: TrainingSettings, rows: int) -> float:
        """Return the seconds of training on ``rows`` rows."""
        before = self.passes * settings.pass_steps(rows) * self.pass_step
        return before + settings.total_steps(rows) * self.step


class _SeenEnough(Exception):  # noqa: N818 - no error
    """Ends a run of which enough was seen."""


def estimate(prepared: Prepared, specs: Sequence[RunSpec]) -> Estimate:
    """Return a rough estimate for every run of ``specs``, by timing a few steps on this machine.

    The baseline is timed on every task and every method on the first, so that it takes seconds, not minutes.
    Raises what the runs themselves would raise.
    """
    study = prepared.study
    use_threads(threads_per_worker(study.workers, study.threads, os.environ) if study.workers else study.threads)
    firsts = {(spec.task, spec.method): spec for spec in reversed(specs)}
    tasks = dict(zip(study.tasks, prepared.tasks, strict=True))
    infos = {stored.dataset_key: stored.info for stored in prepared.stored}
    baseline = study.baseline or study.methods[0]
    plain = {spec: _time(firsts[spec, baseline], tasks[spec]) for spec in study.tasks}
    first = study.tasks[0]
    methods = dict.fromkeys(spec.method for spec in specs if not spec.untrained)
    timings = {
        method: plain[first] if method == baseline else _time(firsts[first, method], tasks[first]) for method in methods
    }
    start = 0.0 if study.workers == 0 else _start_up()
    runs = {}
    for spec in specs:
        info, timing = infos[spec.dataset_key], plain[spec.task]
        evaluation = _evaluation(spec, eval_tasks_of(spec, prepared.all_tasks), spec.settings, timing)
        if spec.reference is not None:
            runs[spec.id] = start + _reference(spec, info.train_rows + info.scored_rows, timing)
            continue
        if spec.untrained:
            runs[spec.id] = start + timing.around + evaluation
            continue
        rows = info.train_rows - (rows_removed(info.train_rows, spec.perturb.remove) if spec.perturb else 0)
        training = timings[spec.method].training(spec.settings, rows) * timing.step / plain[first].step
        scoring = _scoring(tasks[spec.task], spec.settings, timing, rows)
        runs[spec.id] = start + timing.around + training + scoring + evaluation
    return Estimate(runs, max(1, study.workers))


def _time(spec: RunSpec, task: Task) -> _Timing:
    """Time a run of a few steps on a few rows.

    Where a method trains before the task's own training, a few steps of that are timed, and then a run without it.
    """
    from holdfast.methods import describe, parse
    from holdfast.training.run.progress import Progress
    from holdfast.training.run.train_run import run

    settings = spec.settings
    rows = {"train": (STEPS + 1) * settings.batch_size * settings.accumulation}
    few = {
        name: split.take(list(range(min(len(split), rows.get(name, settings.eval_batch_size)))))
        for name, split in task.splits.items()
    }
    short = spec.model_copy(
        update={
            **_ALONE,
            "train_size": None,
            "settings": settings.model_copy(update={"max_steps": STEPS, "epochs": 1.0}),
        }
    )
    ends: dict[str, list[float]] = {"training": [], "re-training": []}
    passes = 0.0

    def note(progress: Progress) -> None:
        nonlocal passes
        if progress.phase not in ends:
            return
        ends[progress.phase].append(time.perf_counter())
        if progress.phase == "re-training":
            passes = progress.total / settings.pass_steps(len(few["train"]))
            if progress.step > STEPS:
                raise _SeenEnough

    with tempfile.TemporaryDirectory() as folder:
        try:
            record = run(short, replace(task, splits=few), Path(folder), note, keep_model=False)
        except _SeenEnough:
            rest = describe([method for method in parse(spec.method) if not method.requires.text]) or "vanilla"
            short = short.model_copy(update={"method": rest})
            record = run(short, replace(task, splits=few), Path(folder), note, keep_model=False)
    # The first step of each kind warms up.
    steps = {phase: _gaps(times[1:] if phase == "re-training" else times) for phase, times in ends.items()}
    step = statistics.median(steps["training"]) if steps["training"] else record.train_seconds
    pass_step = statistics.median(steps["re-training"]) if steps["re-training"] else 0.0
    return _Timing(step, max(0.0, record.seconds - record.train_seconds), passes, pass_step)


def _gaps(times: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


def _scoring(task: Task, settings: TrainingSettings, timing: _Timing, train_rows: int) -> float:
    """Return the seconds of scoring: a forward pass costs about a third of a training step a row."""
    a_row = timing.step / (settings.batch_size * settings.accumulation) / 3
    labelled = {name: len(split) for name, split in task.splits.items() if split.labels is not None}
    rows = sum(rows for name, rows in labelled.items() if name != "train")
    if task.scored_split != "validation":
        # Checkpoints are scored on validation rows to choose one.
        evaluations = math.ceil(settings.total_steps(train_rows) / settings.evaluation_steps(train_rows))
        rows += evaluations * settings.selection_rows(train_rows, labelled["validation"])
    return rows * a_row


def _evaluation(spec: RunSpec, tasks: Mapping[OtherTask, Task], settings: TrainingSettings, timing: _Timing) -> float:
    """Return the seconds of scoring a run on other tasks, probes included, at the cost of a row as in ``_scoring``."""
    rows = sum(len(_scored(tasks[target])) for target in spec.ood)
    for target in spec.probed:
        train = len(tasks[target].splits["train"])
        limit = spec.probe.rows if spec.probe else None
        rows += min(limit or train, train) + len(_scored(tasks[target]))
    return rows * timing.step / (settings.batch_size * settings.accumulation) / 3


def _reference(spec: RunSpec, rows: int, timing: _Timing) -> float:
    """Return the seconds of fitting a reference, and of a pass over all rows where it takes a model's states."""
    fitting = rows * _FITTING
    if spec.reference == "tfidf":
        return fitting
    return timing.around + rows * timing.step / (spec.settings.batch_size * spec.settings.accumulation) / 3 + fitting


def _scored(task: Task) -> Split:
    return task.splits[task.scored_split]


def _start_up() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-P", "-c", "import holdfast.training.run.train_run"], check=True)
    return time.perf_counter() - began

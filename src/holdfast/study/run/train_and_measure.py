"""What a run of a study does: trains and scores a model, then looks at what tuning did to its representation."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.collapse.monitor.monitor import CollapseMonitor
from holdfast.collapse.probes.checkpoints import load_classifier
from holdfast.collapse.probes.probe_task import probe_task
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.records.run import Monitored, OtherTask, ProbeScore, RunRecord, RunSpec
from holdfast.study.run.layer_drift import tuned_layers
from holdfast.study.run.reference_run import fit_reference
from holdfast.tasks.task import Task
from holdfast.training.run.progress import OnProgress, Progress
from holdfast.training.run.run_cache import RunCache
from holdfast.training.run.train_run import RunContext
from holdfast.training.run.train_run import run as train

if TYPE_CHECKING:
    from transformers import Trainer, TrainerCallback

_CACHE = RunCache()
"""Of this process, which does several runs of a study."""


def run(
    spec: RunSpec, task: Task, folder: Path, on_progress: OnProgress, eval_tasks: Mapping[OtherTask, Task]
) -> RunRecord:
    """Do the run ``spec`` in ``folder``, a sub-folder of the store's ``runs``; return its record.

    ``eval_tasks``: the loaded tasks of ``spec.ood`` and ``spec.probed``. Leaves what ``training.run`` does. A run in
    which nothing is trained probes the pre-trained model, or fits a reference. Raises ``HoldfastError`` for what the
    user can mend, and where the run to go on from has left no model.
    """
    began = time.perf_counter()
    if spec.reference is not None:
        return fit_reference(spec, task, folder, on_progress)
    if spec.untrained:
        return _probe_untrained(spec, task, folder, on_progress, eval_tasks)
    monitors: list[CollapseMonitor] = []

    def watch(trainer: "Trainer") -> Sequence["TrainerCallback"]:
        if spec.monitor is not None:
            monitors.append(CollapseMonitor(trainer, every=spec.monitor))
        return monitors

    context = RunContext(
        start=_start(spec, folder),
        eval_tasks=eval_tasks,
        callbacks=watch,
        compare_layers=lambda tuned, pretrained, states: tuned_layers(spec, task, tuned, pretrained, states, _CACHE),
        cache=_CACHE,
    )
    record = train(spec, task, folder, on_progress, context=context)
    on_progress(Progress(record.steps, record.steps, "probing", None))
    measured: dict[str, Any] = {
        "monitored": [
            Monitored(**look.model_dump(exclude={"layers"})) for monitor in monitors for look in monitor.looks
        ],
        "probes": _probes(spec, replace(spec.source, name=str(folder / "model"), revision=None), folder, eval_tasks),
    }
    return record.model_copy(update=measured | {"seconds": time.perf_counter() - began})


def _start(spec: RunSpec, folder: Path) -> Path | None:
    """Return the model that a run goes on from."""
    if spec.after is None:
        return None
    model = folder.parent / spec.after / "model"
    if not model.is_dir():
        raise HoldfastError(
            f"run {spec.after}, from whose model this one goes on, left none; if it stopped with an error, start "
            f"again with --retry-failed, else delete {model.parent} first"
        )
    return model


def _probe_untrained(
    spec: RunSpec, task: Task, folder: Path, on_progress: OnProgress, eval_tasks: Mapping[OtherTask, Task]
) -> RunRecord:
    began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    on_progress(Progress(0, 0, "probing", None))
    return RunRecord(
        id=spec.id,
        spec=spec,
        status="finished",
        task_name=task.name,
        probes=_probes(spec, spec.source, folder, eval_tasks),
        seconds=time.perf_counter() - began,
        started=started,
    )


def _probes(
    spec: RunSpec, checkpoint: ModelSource, folder: Path, eval_tasks: Mapping[OtherTask, Task]
) -> dict[str, ProbeScore]:
    """Return what linear probes of ``checkpoint`` score, by task."""
    if spec.probe is None:
        return {}
    model, tokenizer = load_classifier(checkpoint)
    scores = {}
    for target in spec.probed:
        task = eval_tasks[target]
        features = folder / "features"
        try:
            scores[task.name] = probe_task(
                model,
                tokenizer,
                task,
                spec.probe,
                max_length=spec.settings.max_length,
                batch_size=spec.settings.eval_batch_size,
                folder=features,
            )
        finally:
            # As large as the data are long, and of a model that is not kept.
            shutil.rmtree(features, ignore_errors=True)
    return scores

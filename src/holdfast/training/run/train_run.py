"""One run: a RunSpec and its loaded task in, a RunRecord out."""

import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from torch.utils.data import Subset
from transformers import PrinterCallback, Trainer, TrainerCallback, set_seed

import holdfast
from holdfast.methods import parse
from holdfast.methods.base import Method
from holdfast.records.run import Checkpoint, OtherTask, RunRecord, RunSpec
from holdfast.tasks.scoring.mapping import aligned, map_labels, metrics_of
from holdfast.tasks.scoring.metrics import constant_score
from holdfast.tasks.task import Task
from holdfast.training.models.hidden_states import spread_rows, write_states
from holdfast.training.models.loading import fill_padding, load_tokenizer, take_body
from holdfast.training.models.weight_distance import distance_from
from holdfast.training.pretraining.self_supervised import StageProgress
from holdfast.training.run.check import check_run
from holdfast.training.run.rows import training_rows
from holdfast.training.task_models import TaskModel, task_model_of
from holdfast.training.trainer.attach import attach


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    step: int
    """Optimizer steps done."""
    total: int
    phase: str
    """``preparing``, ``re-training``, ``training``, ``scoring`` or ``probing``."""
    loss: float | None
    """The last logged training loss."""


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Surroundings:
    """What a run is given beside its task."""

    start: Path | None = None
    """Checkpoint whose body is trained, for a run that goes on from another; None: the pre-trained one."""
    elsewhere: Mapping[OtherTask, Task] = field(default_factory=dict)
    """The loaded tasks of ``RunSpec.ood``."""
    watch: Callable[[Trainer], Sequence[TrainerCallback]] = lambda trainer: ()
    """Returns further callbacks for the trainer, whose model no method has changed yet."""


def run(
    spec: RunSpec,
    task: Task,
    folder: Path,
    on_progress: OnProgress | None = None,
    keep_model: bool = True,
    around: Surroundings | None = None,
) -> RunRecord:
    """Train and score one model; return what came of it.

    Writes ``predictions.npz`` (of the scored split what ``TaskModel.prediction_arrays`` says) and, for models that give
    hidden states, ``representations.npz`` (see ``write_states``; of at most 512 of these rows) into ``folder``, and
    with ``keep_model`` the plain checkpoint with its tokenizer into ``folder/model``. Where the task has labelled
    test data, the epoch with the best validation score is scored on it; otherwise the last weights are scored
    on the validation split, so that no score comes from data that selected the checkpoint. A method that chooses by
    validation then gets a tenth of the training rows for it, which are not trained on (``training_rows``).

    Raises ``HoldfastError`` for what the user can mend; other exceptions mean that the run broke.
    """
    around = around or Surroundings()
    began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    report = on_progress or (lambda progress: None)
    report(Progress(0, 0, "preparing", None))
    check_run(spec, task)
    _be_deterministic()
    set_seed(spec.seed)
    tokenizer = load_tokenizer(spec.source)
    task_model = task_model_of(spec, task)
    model = task_model.load()
    if around.start is not None:
        take_body(model, around.start, spec.remote_code)
    fill_padding(model, tokenizer)
    methods = parse(spec.method)
    splits = dict(task.splits)
    splits["train"], held_out = training_rows(spec, task, methods)
    data, truncated = {}, {}
    for name, split in splits.items():
        if split.labels is not None:
            data[name], truncated[name] = task_model.encode(split, tokenizer, training=name == "train")
    selects = task.scored_split != "validation"
    choosing, chosen_by = (data["validation"], splits["validation"]) if selects else (None, None)
    if held_out is not None:
        (choosing, _), chosen_by = task_model.encode(held_out, tokenizer, training=False), held_out

    def rank(output: Any) -> dict[str, float]:
        assert chosen_by is not None
        return _rankable(task_model.score(task_model.read(output, tokenizer), chosen_by, task.metrics))

    learning_rate = spec.settings.learning_rate
    for method in methods:
        learning_rate = method.study_rate(learning_rate)
    watch = _Watch(report, [method.name for method in methods])
    work = folder / "checkpoints"
    trainer = task_model.trainer(
        _arguments(spec, len(splits["train"]), learning_rate, task.metrics[0], selects, work),
        model=model,
        train_dataset=data["train"],
        eval_dataset=choosing,
        processing_class=tokenizer,
        compute_metrics=rank,
        callbacks=[watch],
    )
    trainer.remove_callback(PrinterCallback)
    # Before methods change the model, which the pre-trained one is to be compared with.
    for callback in around.watch(trainer):
        trainer.add_callback(callback)
    attach(trainer, *methods)
    try:
        trainer.train()
        chosen = _chosen_step(trainer) if selects else trainer.state.global_step
    finally:
        shutil.rmtree(work, ignore_errors=True)

    report(Progress(trainer.state.global_step, trainer.state.max_steps, "scoring", watch.loss))
    # From here on splits are scored as they are predicted.
    trainer.compute_metrics = None
    scored = splits[task.scored_split]
    outputs = task_model.read(trainer.predict(data[task.scored_split]), tokenizer)
    metrics = task_model.score(outputs, scored, task.metrics)
    others = {name: part for name, part in data.items() if name not in ("train", "validation", task.scored_split)}

    def score(name: str, part: Any) -> dict[str, float | None]:
        return task_model.score(task_model.read(trainer.predict(part), tokenizer), splits[name], task.metrics)

    extra = {name: score(name, part) for name, part in others.items()}
    for target in spec.ood:
        other = around.elsewhere[target]
        extra[other.name] = _score_elsewhere(trainer, task_model, target, other, tokenizer)
    validation = score("validation", data["validation"]) if selects else metrics
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, Any] = task_model.prediction_arrays(scored, outputs)
    # Texts have as many places in the file as the longest of them.
    np.savez_compressed(folder / "predictions.npz", **kept)
    rows = spread_rows(len(scored))
    states = task_model.states(model, trainer.get_test_dataloader(Subset(data[task.scored_split], rows)))
    if states is not None:
        write_states(folder / "representations.npz", states, [scored.ids[row] for row in rows])
    if keep_model:
        model.save_pretrained(folder / "model")
        tokenizer.save_pretrained(folder / "model")
    _let_go(trainer, model)
    # What the checkpoint lacks, and the head, are drawn as they were at the start.
    set_seed(spec.seed)
    distance = distance_from(model, task_model.load)
    return RunRecord(
        id=spec.id,
        spec=spec,
        status="finished",
        form=type(task_model).__name__,
        task_name=task.name,
        scored_split=task.scored_split,
        metrics=metrics,
        primary=task.metrics[0],
        selection_score=validation[task.metrics[0]],
        constant_scores={name: constant_score(name, scored.labels or []) for name in task.metrics},
        dominant_share=task_model.dominant_share(outputs),
        diverged=watch.diverged or not task_model.finite(outputs),
        extra_metrics=extra,
        losses=watch.losses,
        evaluations=watch.evaluations,
        facts=watch.facts | _validation_facts(methods, choosing),
        chosen_step=chosen,
        steps=trainer.state.global_step,
        learning_rate=learning_rate,
        train_rows=len(splits["train"]),
        scored_rows=len(scored),
        truncated=truncated,
        parameters=sum(p.numel() for p in model.parameters()),
        distance=distance,
        start_distance=next((v for name, v in watch.facts.items() if name.endswith("/start_distance")), distance),
        seconds=time.perf_counter() - began,
        train_seconds=watch.seconds,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        threads=torch.get_num_threads(),
        versions={
            "holdfast": holdfast.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
        started=started,
    )


class _Watch(TrainerCallback):
    """Collects the log, times the steps and passes progress on."""

    def __init__(self, report: OnProgress, methods: Sequence[str]) -> None:
        self.report = report
        self.methods = methods
        self.facts: dict[str, float] = {}
        self.loss: float | None = None
        self.losses: list[dict[str, float]] = []
        self.evaluations: list[Checkpoint] = []
        self.diverged = False
        self.seconds = 0.0
        self._began = 0.0

    def on_stage(self, progress: StageProgress) -> None:
        now = time.perf_counter()
        # Building the language model before the first step is no training.
        self.seconds += now - self._began if progress.step else 0.0
        self._began = now
        self.report(Progress(progress.step, progress.total, "re-training", progress.loss))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 0:
            # A method that looked at the data before the first step pays for it.
            self.seconds += time.perf_counter() - self._began
        self._began = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seconds += time.perf_counter() - self._began
        self.report(Progress(state.global_step, state.max_steps, "training", self.loss))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        told = {name: float(value) for name, value in logs.items() if name.split("/")[0] in self.methods}
        self.facts |= {name: value for name, value in told.items() if math.isfinite(value)}
        if "loss" not in logs:
            return
        entry = {"step": float(state.global_step), "loss": float(logs["loss"])}
        entry |= {name: float(value) for name, value in logs.items() if name.startswith("loss/")}
        # JSON has no NaN: a term that is not finite is left out, and `diverged` says so.
        finite = {name: value for name, value in entry.items() if math.isfinite(value)}
        self.diverged |= len(finite) < len(entry)
        self.losses.append(finite)
        self.loss = finite.get("loss", self.loss)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any) -> None:
        scores = {
            name.removeprefix("eval_"): float(value) if math.isfinite(value) else None
            for name, value in metrics.items()
            if name.startswith("eval_") and not name.endswith(("runtime", "per_second"))
        }
        self.evaluations.append(Checkpoint(step=state.global_step, epoch=float(state.epoch or 0.0), metrics=scores))


def _arguments(
    spec: RunSpec, rows: int, learning_rate: float, metric: str, selects: bool, folder: Path
) -> dict[str, Any]:
    settings = spec.settings
    selecting: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no"}
    if selects:
        selecting = {
            "eval_strategy": "epoch",
            "save_strategy": "epoch",
            "save_total_limit": 1,
            "save_only_model": True,
            "load_best_model_at_end": True,
        }
    return dict(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.eval_batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=learning_rate,
        weight_decay=settings.weight_decay,
        warmup_steps=settings.warmup if settings.warmup < 1 else int(settings.warmup),
        lr_scheduler_type=settings.schedule,
        max_grad_norm=settings.max_grad_norm,
        adam_beta2=settings.adam_beta2,
        adam_epsilon=settings.adam_epsilon,
        bf16=settings.precision == "bf16",
        # Not told so, it refuses bf16 where there is no accelerator, though CPUs can do it.
        use_cpu=not torch.accelerator.is_available(),
        fp16=settings.precision == "fp16",
        activation_checkpointing=settings.activation_checkpointing,
        seed=spec.seed,
        data_seed=spec.data_seed,
        metric_for_best_model=metric,
        greater_is_better=True,
        logging_steps=max(1, settings.total_steps(rows) // 50),
        logging_nan_inf_filter=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
        disable_tqdm=True,
        label_smoothing_factor=settings.label_smoothing,
        **selecting,
    )


def _validation_facts(methods: Sequence[Method], choosing: Any) -> dict[str, float]:
    return {f"{method.name}/validation_rows": float(len(choosing)) for method in methods if method.needs_validation}


def _be_deterministic() -> None:
    """Ask for the deterministic form of CUDA operations that have one; on CPU all used here are."""
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def _rankable(scores: Mapping[str, float | None]) -> dict[str, float]:
    # An undefined score (a constant prediction's correlation) must lose against every other.
    return {name: -math.inf if score is None else score for name, score in scores.items()}


def _let_go(trainer: Trainer, model: nn.Module) -> None:
    """Free what only training needs, so that a second model fits where the first was trained."""
    handler = trainer.callback_handler
    trainer.optimizer = trainer.lr_scheduler = handler.optimizer = handler.lr_scheduler = None
    trainer.accelerator.free_memory()
    model.zero_grad(set_to_none=True)


def _chosen_step(trainer: Trainer) -> int:
    return int(trainer.state.best_global_step or trainer.state.global_step)


def _score_elsewhere(
    trainer: Trainer, task_model: TaskModel, target: OtherTask, other: Task, tokenizer: Any
) -> dict[str, float | None]:
    mapped = map_labels(task_model.task, other, target.labels)
    other = aligned(task_model.task, other)
    split = other.splits[other.scored_split]
    if mapped is None:
        rows, _ = task_model.encode(split, tokenizer, training=False)
        return task_model.score(task_model.read(trainer.predict(rows), tokenizer), split, metrics_of(mapped, other))
    # Without its labels: the model's loss would read them as classes of its own.
    rows, _ = task_model.encode(replace(split, labels=None), tokenizer, training=False)
    outputs = mapped.outputs(task_model.read(trainer.predict(rows), tokenizer))
    return task_model.score(outputs, replace(split, labels=mapped.labels(split.classes)), metrics_of(mapped, other))

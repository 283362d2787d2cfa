"""One run: a RunSpec and its loaded task in, a RunRecord out."""

import copy
import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback, set_seed
from transformers.trainer_pt_utils import LengthGroupedSampler

import holdfast
from holdfast.methods import parse
from holdfast.methods.base import Method
from holdfast.records.run import LayerState, OtherTask, RunRecord, RunSpec
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.scoring.metrics import constant_score
from holdfast.tasks.task import Split, Task
from holdfast.training.models.hidden_states import spread_rows, write_states
from holdfast.training.models.loading import fill_padding, load_tokenizer, take_body
from holdfast.training.models.weight_distance import body_distance
from holdfast.training.quiet import quiet
from holdfast.training.run.check import check_run
from holdfast.training.run.phases import Phases
from holdfast.training.run.progress import OnProgress, Progress
from holdfast.training.run.rows import RunData, encode_run, length_of
from holdfast.training.run.run_cache import RunCache
from holdfast.training.run.scoring import Predictor, Scores
from holdfast.training.run.trainer_arguments import trainer_arguments
from holdfast.training.run.training_log import TrainingLog
from holdfast.training.session.vocabulary import trimming_problem
from holdfast.training.task_models import TaskModel, task_model_of
from holdfast.training.task_models.base import Outputs
from holdfast.training.trainer.attach import attach


@dataclass(frozen=True)
class RunContext:
    """What a run is given besides its task."""

    start: Path | None = None
    """Checkpoint whose body is trained, for a run that goes on from another; None: the pre-trained one."""
    eval_tasks: Mapping[OtherTask, Task] = field(default_factory=dict)
    """The loaded tasks of ``RunSpec.ood``."""
    callbacks: Callable[[Trainer], Sequence[TrainerCallback]] = lambda trainer: ()
    """Returns further callbacks for the trainer, whose model no method has changed yet."""
    compare_layers: Callable[[nn.Module, nn.Module, NDArray[np.float32] | None], list[LayerState]] = (
        lambda tuned, pretrained, states: []
    )
    """Returns what tuning did to every layer, given the tuned model, the pre-trained one and the former's states."""
    cache: RunCache = field(default_factory=RunCache)
    """Of the process."""


def run(
    spec: RunSpec,
    task: Task,
    folder: Path,
    on_progress: OnProgress = lambda progress: None,
    *,
    keep_model: bool = True,
    context: RunContext | None = None,
) -> RunRecord:
    """Train and score one model; return what came of it.

    Writes ``predictions.npz`` (of the scored split what ``TaskModel.prediction_arrays`` says) and, for models that give
    hidden states, ``representations.npz`` (see ``write_states``; of at most 512 of these rows) into ``folder``, and
    with ``keep_model`` the plain checkpoint with its tokenizer into ``folder/model``. Where the task has labelled
    test data, the evaluated step with the best validation score is scored on it; otherwise the last weights are scored
    on the validation split, so that no score comes from data that selected the checkpoint. A method that chooses by
    validation then gets a tenth of the training rows for it, which are not trained on (``training_rows``).

    Args:
        spec: The run.
        task: The loaded task of ``spec``.
        folder: Where it writes.
        on_progress: Told of every step.
        keep_model: Write the model.
        context: What the run is given besides.

    Raises:
        HoldfastError: For what the user can mend; other exceptions mean that the run broke.
    """
    context = context or RunContext()
    began, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    phases = Phases()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    on_progress(Progress(0, 0, "preparing", None))
    _be_deterministic()
    with phases("loading"):
        check_run(spec, task)
        set_seed(spec.seed)
        tokenizer = load_tokenizer(spec.source)
        task_model = task_model_of(spec, task)
        model = task_model.load()
        pretrained = copy.deepcopy(model) if _bytes(model) <= _COPIED else None
        if context.start is not None:
            take_body(model, context.start, spec.remote_code)
        fill_padding(model, tokenizer)
    methods = parse(spec.method)
    with phases("encoding"):
        data = encode_run(task_model, tokenizer, methods, context.cache)

    log = TrainingLog(on_progress, [method.name for method in methods])
    learning_rate = spec.settings.learning_rate
    for method in methods:
        learning_rate *= method.requires.lr_scale
    with phases("training"):
        trainer = _trainer(model, task_model, tokenizer, data, learning_rate, log, folder)
        # Before methods change the model, which the pre-trained one is to be compared with.
        for callback in context.callbacks(trainer):
            trainer.add_callback(callback)
        attach(trainer, *methods, trim_vocabulary=not trimming_problem(model))
        chosen_step = _train(trainer, data.best_step)

    on_progress(Progress(trainer.state.global_step, trainer.state.max_steps, "scoring", log.loss))
    with phases("scoring"):
        predictor = Predictor(trainer, task_model, tokenizer)
        scored = data.splits[task.scored_split]
        kept = spread_rows(len(scored))
        outputs, states = predictor.outputs_and_states(data.encoded[task.scored_split], kept)
        metrics = task_model.score(outputs, scored, task.metrics)
        extra_metrics = _extra_metrics(predictor, data, {target: context.eval_tasks[target] for target in spec.ood})
        selection = _selection(predictor, data, methods, log, chosen_step) if data.best_step else metrics
    with phases("saving"):
        _write(folder, task_model, scored, outputs, states, kept)
        if keep_model:
            model.save_pretrained(folder / "model")
            tokenizer.save_pretrained(folder / "model")
        _free_training_memory(trainer, model)
    with phases("comparing"):
        if pretrained is None:
            # What the checkpoint lacks, and the head, are drawn as they were at the start.
            set_seed(spec.seed)
            with quiet():
                pretrained = task_model.load()
        distance = body_distance(model, pretrained)
        layers = context.compare_layers(model, pretrained, states)
    return RunRecord(
        id=spec.id,
        spec=spec,
        status="finished",
        form=type(task_model).__name__,
        task_name=task.name,
        scored_split=task.scored_split,
        metrics=metrics,
        primary=task.metrics[0],
        selection_score=selection[task.metrics[0]],
        constant_scores={name: constant_score(name, scored.labels or []) for name in task.metrics},
        dominant_share=task_model.dominant_share(outputs),
        diverged=log.diverged or not task_model.finite(outputs),
        extra_metrics=extra_metrics,
        losses=log.losses,
        evaluations=log.evaluations,
        facts=log.facts | _validation_facts(methods, data),
        chosen_step=chosen_step,
        steps=trainer.state.global_step,
        learning_rate=learning_rate,
        train_rows=len(data.splits["train"]),
        scored_rows=len(scored),
        truncated=data.truncated,
        parameters=sum(p.numel() for p in model.parameters()),
        distance=distance,
        start_distance=next((v for name, v in log.facts.items() if name.endswith("/start_distance")), distance),
        seconds=time.perf_counter() - began,
        train_seconds=log.seconds,
        phases=phases.seconds,
        layers=layers,
        started=started,
        **_environment(),
    )


_COPIED = 1 << 30
"""Bytes of the largest model that is copied before it is tuned; larger ones are loaded again to compare with."""


def _bytes(model: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in model.parameters())


def _be_deterministic() -> None:
    """Ask for the deterministic form of CUDA operations that have one; on CPU all used here are."""
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)


def _trainer(
    model: nn.Module,
    task_model: TaskModel,
    tokenizer: Any,
    data: RunData,
    learning_rate: float,
    log: TrainingLog,
    folder: Path,
) -> Trainer:
    """Return the trainer of a run, without its methods."""
    task = task_model.task

    def compute_metrics(prediction: Any) -> dict[str, float]:
        assert data.choosing is not None
        scores = task_model.score(task_model.read(prediction, tokenizer), data.choosing[1], task.metrics)
        # An undefined score (a constant prediction's correlation) must lose against every other.
        return {name: -math.inf if score is None else score for name, score in scores.items()}

    trainer = task_model.trainer(
        trainer_arguments(
            task_model.spec,
            rows=len(data.splits["train"]),
            learning_rate=learning_rate,
            metric=task.metrics[0],
            best_step=data.best_step,
            folder=folder / "checkpoints",
        ),
        model=model,
        train_dataset=data.encoded["train"],
        eval_dataset=None if data.choosing is None else data.choosing[0],
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=[log],
    )
    trainer.remove_callback(PrinterCallback)
    if task_model.spec.settings.group_by_length:
        _group_by_length(trainer, data.encoded["train"], task_model.spec.data_seed)
    return trainer


def _group_by_length(trainer: Trainer, rows: EncodedSplit, data_seed: int) -> None:
    """Let batches have rows of about the same length, in an order that depends on ``data_seed`` alone.

    The Trainer's own way draws from the global generator, as dropout and the methods' noise do.
    """
    arguments = trainer.args
    sampler = LengthGroupedSampler(
        arguments.train_batch_size * arguments.gradient_accumulation_steps,
        lengths=[length_of(row) for row in rows.rows],
        generator=torch.Generator().manual_seed(data_seed),
    )
    trainer._get_train_sampler = lambda train_dataset=None: sampler  # type: ignore[method-assign]


def _train(trainer: Trainer, best_step: bool) -> int:
    """Train; return the step whose weights the model has now."""
    try:
        trainer.train()
    finally:
        shutil.rmtree(str(trainer.args.output_dir), ignore_errors=True)
    # From here on splits are scored as they are predicted.
    trainer.compute_metrics = None
    last = trainer.state.global_step
    return int(trainer.state.best_global_step or last) if best_step else last


def _extra_metrics(predictor: Predictor, data: RunData, others: Mapping[OtherTask, Task]) -> dict[str, Scores]:
    """Return the scores on further labelled splits, and on other tasks, by name."""
    done = ("train", "validation", data.task.scored_split)
    scores = {name: predictor.score(data, name) for name in data.encoded if name not in done}
    return scores | {other.name: predictor.score_other(target, other) for target, other in others.items()}


def _selection(
    predictor: Predictor, data: RunData, methods: Sequence[Method], log: TrainingLog, chosen_step: int
) -> Scores:
    """Return the scores of the final model on the validation rows, which chose the epoch."""
    at_step = {evaluation.step: evaluation.metrics for evaluation in log.evaluations}
    # What a method chose after that epoch, nobody has scored yet.
    if chosen_step in at_step and not any(method.requires.validation for method in methods):
        return at_step[chosen_step]
    return predictor.score(data, "validation")


def _write(
    folder: Path,
    task_model: TaskModel,
    scored: Split,
    outputs: Outputs,
    states: NDArray[np.float32] | None,
    kept: Sequence[int],
) -> None:
    """Write what was predicted for the scored split, and what the model's layers made of its rows ``kept``."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = task_model.prediction_arrays(scored, outputs)
    # Texts have as many places in the file as the longest of them.
    np.savez_compressed(folder / "predictions.npz", **arrays)
    if states is not None:
        write_states(folder / "representations.npz", states, [scored.ids[row] for row in kept])


def _free_training_memory(trainer: Trainer, model: nn.Module) -> None:
    """Free what only training needs, so that a second model fits where the first was trained."""
    handler = trainer.callback_handler
    trainer.optimizer = trainer.lr_scheduler = handler.optimizer = handler.lr_scheduler = None
    trainer.accelerator.free_memory()
    model.zero_grad(set_to_none=True)


def _validation_facts(methods: Sequence[Method], data: RunData) -> dict[str, float]:
    if data.choosing is None:
        return {}
    rows = float(len(data.choosing[1]))
    return {f"{method.name}/validation_rows": rows for method in methods if method.requires.validation}


def _environment() -> dict[str, Any]:
    """Return what the run was done on and with."""
    on_gpu = torch.cuda.is_available()
    return {
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if on_gpu else None,
        "device": torch.cuda.get_device_name() if on_gpu else platform.machine(),
        "threads": torch.get_num_threads(),
        "versions": {
            "holdfast": holdfast.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "python": platform.python_version(),
        },
    }

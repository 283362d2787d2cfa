"""Whether a run can work, found out without loading weights."""

from collections.abc import Sequence
from typing import Any

import torch

from holdfast.errors import HoldfastError
from holdfast.methods import parse
from holdfast.methods.base import Method, Plan
from holdfast.records.run import RunSpec
from holdfast.tasks.sampling.removal import rows_removed
from holdfast.tasks.task import Task
from holdfast.training.models.loading import check_model, empty_classifier, load_tokenizer, own_body
from holdfast.training.pretraining.corruption import check_words
from holdfast.training.run.rows import training_rows
from holdfast.training.task_models import task_model_of


def check_run(spec: RunSpec, task: Task) -> None:
    """Make sure that the model, task, settings and methods of a run fit together.

    Builds the model without memory for its weights, so it takes a second whatever the model's size. Raises
    ``HoldfastError`` for data that changed since the run was planned, a model that may not be loaded, fp16
    without a GPU, texts longer than the model's positions, a tokenizer of another model, methods that cannot work
    together or on this model, and too few rows to hold some out for a method that chooses by validation.
    """
    if task.fingerprint != spec.data:
        raise HoldfastError(f"task {task.name}: its rows changed since the run was planned; restore them or plan anew")
    if spec.settings.precision == "fp16" and not torch.cuda.is_available():
        raise HoldfastError("--precision fp16: there is no GPU here, use bf16 or fp32")
    if task.kind == "regression" and spec.settings.label_smoothing:
        raise HoldfastError(
            f"--label-smoothing {spec.settings.label_smoothing:g}: {task.name} asks for a number, and there are no "
            "classes to spread it over; leave it out"
        )
    check_model(spec.source)
    task_model = task_model_of(spec, task)
    model = task_model.empty()
    config = model.config
    tokenizer = load_tokenizer(spec.source)
    check_lengths(spec.model, getattr(config, "encoder", config), tokenizer, spec.settings.max_length)
    if task.kind == "generation":
        check_target_length(spec, config, tokenizer)
    methods = parse(spec.method)
    if spec.after is not None:
        own_body(model)
    if spec.probe is not None:
        _check_layer(config, spec.probe.layer)
        _check_probed(spec, task)
    plan = Plan(spec.settings.total_steps(_train_rows(spec, task, methods)), spec.seed)
    for method in methods:
        try:
            method.check(model)
            method.check_plan(plan)
        except HoldfastError as error:
            # Of several tasks in a study it may be this one alone.
            raise HoldfastError(f"task {task.name}: {error}") from None
        if method.requires.text:
            check_words(model, tokenizer, method.name)


def _train_rows(spec: RunSpec, task: Task, methods: Sequence[Method]) -> int:
    if any(method.requires.validation for method in methods):
        return len(training_rows(spec, task, methods)[0])
    rows = len(task.splits["train"])
    rows = min(spec.train_size or rows, rows)
    return rows if spec.perturb is None else rows - rows_removed(rows, spec.perturb.remove)


def _check_probed(spec: RunSpec, task: Task) -> None:
    """Raise ``HoldfastError`` where the body of the tuned model cannot be loaded for probes, as a classifier is."""
    if task.labels_rows:
        return
    if spec.seq2seq_from_encoder:
        raise HoldfastError(
            f"--seq2seq-from-encoder: what is made of {spec.model} is a pair, which probes cannot load; "
            "leave the tasks to probe out"
        )
    empty_classifier(spec.source, 2)


def _check_layer(config: Any, layer: int) -> None:
    blocks = getattr(config, "num_hidden_layers", None)
    # Of an encoder-decoder it may be the number of either stack's.
    if not isinstance(blocks, int) or getattr(config, "is_encoder_decoder", False):
        return
    if not -blocks - 1 <= layer <= blocks:
        raise HoldfastError(
            f"--probe-layer {layer}: the model's layers are 0, the embeddings, to {blocks}; -1 is the last"
        )


def check_lengths(model: str, config: Any, tokenizer: Any, max_length: int) -> None:
    """Raise ``HoldfastError`` for a tokenizer with more tokens, or texts with more, than the model named takes."""
    vocabulary = getattr(config, "vocab_size", None)
    # Tokens may be numbered with gaps, so their count says too little.
    tokens = max(tokenizer.get_vocab().values()) + 1 if isinstance(vocabulary, int) else 0
    if isinstance(vocabulary, int) and tokens > vocabulary:
        raise HoldfastError(
            f"model {model}: its tokenizer has {tokens} tokens and the model embeds {vocabulary}; "
            "use the tokenizer that belongs to it"
        )
    positions = getattr(config, "max_position_embeddings", None)
    limits = [limit for limit in (positions, tokenizer.model_max_length) if isinstance(limit, int) and limit > 0]
    if limits and max_length > min(limits):
        raise HoldfastError(
            f"--max-length {max_length}: model {model} takes {min(limits)} tokens at most, "
            f"use --max-length {min(limits)}"
        )


def check_target_length(spec: RunSpec, config: Any, tokenizer: Any) -> None:
    """Raise ``HoldfastError`` where the texts to write are longer than the model's positions.

    ``config``: the model's. Relative positions have no end. A decoder alone needs room for prompt and response.
    """
    own = getattr(config, "decoder", config)
    positions = getattr(own, "max_position_embeddings", None)
    if not isinstance(positions, int):
        return
    # RoBERTa counts its positions from 2 on, and its tokenizer knows.
    limit = min(positions, tokenizer.model_max_length)
    settings, model = spec.settings, spec.model
    if config.is_encoder_decoder and settings.max_target_length > limit:
        raise HoldfastError(
            f"--max-target-length {settings.max_target_length}: model {model} writes {limit} tokens at most, "
            f"use --max-target-length {limit}"
        )
    if not config.is_encoder_decoder and settings.max_length + settings.max_target_length > limit:
        raise HoldfastError(
            f"--max-length {settings.max_length} and --max-target-length {settings.max_target_length}: model {model} "
            f"takes {limit} tokens of prompt and response together at most, lower one of them"
        )

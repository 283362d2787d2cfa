"""The arguments that Python calls share with the commands' options, and how their messages name them."""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypedDict, get_args

from holdfast.errors import HoldfastError, nearest
from holdfast.records.task import Kind, TaskSpec

Data = str | os.PathLike[str] | TaskSpec
"""A task by name, a hub id, the path of a file or folder, or all of it with how it is read."""


class ReadingOptions(TypedDict, total=False):
    """How data are read: the fields of ``TaskSpec``."""

    text: str | None
    text_pair: str | None
    label: str | None
    kind: Kind | None
    validation: str | os.PathLike[str] | None
    test: str | os.PathLike[str] | None
    holdout: float
    read: Mapping[str, str | bool | int] | None
    size: int | None
    scored_rows: int | None


class TrainingOptions(TypedDict, total=False):
    """How a run trains: the fields of ``TrainingSettings``, which say what they mean."""

    epochs: float | None
    validation_size: int | None
    max_steps: int | None
    batch_size: int
    eval_batch_size: int
    accumulation: int
    learning_rate: float
    weight_decay: float
    warmup: float
    schedule: Literal["linear", "cosine", "constant_with_warmup"]
    max_grad_norm: float
    adam_beta2: float
    adam_epsilon: float
    max_length: int
    label_smoothing: float
    max_target_length: int
    num_beams: int
    precision: Literal["fp32", "bf16", "fp16"]
    activation_checkpointing: bool
    group_by_length: bool


class RunOptions(ReadingOptions, TrainingOptions, total=False):
    """What any run may be told."""

    revision: str | None
    seq2seq_from_encoder: str | None
    subset_seed: int
    threads: int | None
    remote_code: bool
    pickled_weights: bool


class CompareOptions(RunOptions, total=False):
    """What else a comparison may be told."""

    data_seeds: int | Sequence[int] | None
    max_seeds: int | None
    perturb: Literal["data"] | None
    delta: float
    ood: str | Sequence[str] | None
    probe: str | Sequence[str] | None
    probe_rows: int | None
    probe_seeds: int
    probe_layer: int
    pooling: Literal["auto", "cls", "mean", "last"]
    monitor: int | None
    no_references: bool


_NAMES = (
    {"methods", "method", "baseline", "seeds", "seed", "data_seed", "train_size", "model", "out", "data_dir"}
    | {"workers", "retry_failed"}
    | CompareOptions.__optional_keys__
)
_OPTION = re.compile(rf"(?<![\w-])--({'|'.join(name.replace('_', '-') for name in _NAMES)})(?![\w-])")
_FLAGS = "remote_code|pickled_weights|retry_failed|activation_checkpointing|group_by_length|no_references"


def source(data: Data) -> str | TaskSpec:
    """Return ``data`` as the commands take it."""
    return data if isinstance(data, TaskSpec) else os.fspath(data)


def check_options(options: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise ``HoldfastError`` for an argument that is not ``known``, and for an empty list of things."""
    for name, value in options.items():
        if name not in known:
            raise HoldfastError(f"unknown argument {name!r}{nearest(name, known) or '; help() lists those there are'}")
        if isinstance(value, list | tuple) and not value:
            raise HoldfastError(f"`{name}` is empty; name at least one, or leave it out")


@contextmanager
def naming_arguments() -> Iterator[None]:
    """Let errors name arguments where the command's name options: ``--text-pair`` becomes ```text_pair```."""
    try:
        yield
    except HoldfastError as error:
        error.args = (as_arguments(str(error)),)
        raise


def as_arguments(message: str) -> str:
    """Return ``message`` with options of the commands as arguments of a Python call."""
    text = _OPTION.sub(lambda match: f"`{match[1].replace('-', '_')}`", message)
    text = re.sub(r"`read` (\w+)=([\w-]+)", r'`read={"\1": "\2"}`', text)
    text = re.sub(rf"`kind` ({'|'.join(get_args(Kind))})", r'`kind="\1"`', text)
    text = re.sub(r"`(\w+)` (\d[\d.e-]*)(?=[ ,;:)]|$)", r"`\1=\2`", text)
    return re.sub(rf"`({_FLAGS})`( to the command)?", r"`\1=True`", text)

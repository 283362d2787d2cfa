"""Which trainers methods cannot be attached to, told by what they are, before anything runs."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn
from transformers import DataCollatorWithPadding, PreTrainedModel, Trainer, default_data_collator
from transformers.trainer_utils import has_length

from holdfast.errors import HoldfastError
from holdfast.methods import check_combination, describe
from holdfast.methods.base import Method
from holdfast.training.forward.task_loss import learn_head
from holdfast.training.session.unwrapping import is_compiled
from holdfast.training.session.vocabulary import NAME as TRIM
from holdfast.training.session.vocabulary import TrimVocabulary, occurring_tokens

_OTHERS = {
    "RewardTrainer": "learns which of two texts is the better one",
    "PRMTrainer": "learns rewards of steps",
    **dict.fromkeys(
        ("DPOTrainer", "KTOTrainer", "ORPOTrainer", "CPOTrainer", "BCOTrainer", "TPOTrainer"),
        "learns from preferences between texts",
    ),
    **dict.fromkeys(
        ("PPOTrainer", "GRPOTrainer", "RLOOTrainer", "XPOTrainer", "NashMDTrainer"),
        "learns from rewards for the texts that it writes",
    ),
    **dict.fromkeys(("GKDTrainer", "DistillationTrainer", "MiniLLMTrainer"), "learns from another model's outputs"),
    **dict.fromkeys(
        ("SentenceTransformerTrainer", "SparseEncoderTrainer"), "compares the embeddings of texts by a loss of its own"
    ),
    "CrossEncoderTrainer": "scores pairs of texts by a loss of its own",
}
"""What trainers of other tasks do, by the end of their name: copies of a library name them alike."""

_LIBRARIES = ("trl", "sentence_transformers")
_BASES = ("_BaseTrainer", "BaseTrainer")
_LABELS = ("labels", "label", "label_ids")


def check_trainer(trainer: Trainer, methods: Sequence[Method]) -> None:
    """Raise ``HoldfastError``, saying what can be done instead, where ``methods`` cannot work on ``trainer``.

    No row is read and nothing is run, but two rows through a model of the user's own: what only batches tell is told
    at the first step.
    """
    if not isinstance(trainer, Trainer):
        raise HoldfastError(
            f"attach() works on a transformers.Trainer, and {type(trainer).__name__} is none: attach(trainer, R3F()); "
            "a training loop of your own takes Engine(model, [R3F()], optimizer=...)"
        )
    _refuse_other_tasks(trainer)
    if trainer.args.n_gpu > 1:
        raise HoldfastError(
            "the trainer replicates the model over GPUs with DataParallel, which copies no hooks: "
            "start it with torchrun or accelerate launch, or set CUDA_VISIBLE_DEVICES to one GPU"
        )
    if trainer.is_deepspeed_enabled and any(method.requires.gradients for method in methods):
        raise HoldfastError(f"{describe(methods)}: DeepSpeed keeps gradients out of reach, use DDP")
    if (trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled) and any(
        method.requires.whole_weights for method in methods
    ):
        raise HoldfastError(f"{describe(methods)}: the method works on whole weights, not on their shards, use DDP")
    check_combination(methods)
    needing = [method for method in methods if method.requires.validation]
    if needing and trainer.eval_dataset is None:
        raise HoldfastError(
            f"{describe(needing[:1])} chooses by validation, and the trainer has no eval_dataset: give it one, "
            "or the method the value that it would choose"
        )
    _check_signature(trainer)
    _check_labels(trainer, methods)
    _try_own_model(trainer, methods)
    if trainer.train_dataset is not None:
        check_length(trainer.train_dataset, methods)


def check_length(data: Any, methods: Sequence[Method]) -> None:
    """Raise ``HoldfastError`` where a method goes over ``data``, a dataset or loader, which may never end."""
    passing = next((method for method in methods if method.requires.full_pass), None)
    if passing is not None and not has_length(data):
        raise HoldfastError(
            f"{passing.name} goes over the training data before it trains, and the trainer's {type(data).__name__} has "
            "no length: give it a dataset with a length, such as Dataset.from_list(list(stream.take(1000))), or a "
            "method without such a pass"
        )


def trimming(trainer: Trainer) -> Method:
    """Return what trains the embeddings of the tokens that the rows of ``trainer`` have.

    Raises ``HoldfastError`` where it cannot look at them all beforehand.
    """
    if trainer.args.torch_compile or is_compiled(cast(nn.Module, trainer.model)):
        raise HoldfastError(f"{TRIM} looks at the tokens of every batch, which compiled models do not: leave one out")
    data: Any = trainer.eval_dataset
    parts = [trainer.train_dataset, *(data.values() if isinstance(data, dict) else [data])]
    given = [cast(Any, part) for part in parts if part is not None]
    if trainer.train_dataset is None or not all(has_length(part) for part in given):
        raise HoldfastError(f"{TRIM} looks up which tokens the rows have: give the trainer datasets with a length")
    rows = (part[row] for part in given for row in range(len(part)))
    return TrimVocabulary(occurring_tokens(rows, cast(nn.Module, trainer.model), trainer.processing_class))


def _refuse_other_tasks(trainer: Trainer) -> None:
    name = type(trainer).__name__
    for kind in type(trainer).__mro__:
        if kind is Trainer or kind.__name__ == "SFTTrainer":
            return
        known = next((told for end, told in _OTHERS.items() if kind.__name__.endswith(end)), "")
        library = kind.__module__.partition(".")[0]
        if known or (library in _LIBRARIES and kind.__name__ not in _BASES):
            told = known or f"is a trainer of {library} with a loss of its own"
            inside = "" if kind.__name__ == name else f", a {kind.__name__},"
            raise HoldfastError(
                f"{name}{inside} {told}, which methods are not made for: train it without attach, or attach them to a "
                "Trainer, Seq2SeqTrainer or SFTTrainer whose rows have labels"
            )


def _check_signature(trainer: Trainer) -> None:
    kind = type(trainer)
    if kind.training_step is not Trainer.training_step:
        return
    parameters = inspect.signature(kind.compute_loss).parameters.values()
    if not any(one.kind is one.VAR_KEYWORD or one.name == "num_items_in_batch" for one in parameters):
        raise HoldfastError(
            f"compute_loss of {kind.__name__} takes no num_items_in_batch, which the Trainer passes to it: add "
            "num_items_in_batch=None to its arguments"
        )


def _check_labels(trainer: Trainer, methods: Sequence[Method]) -> None:
    comparing = next((method.name for method in methods if method.requires.outputs), "")
    if not comparing:
        return
    other = "use methods that work on weights or gradients, such as mixout"
    names, columns = trainer.label_names, _columns(trainer)
    several = trainer.args.label_names or [name for name in names if name in columns]
    if "start_positions" in names:
        raise HoldfastError(
            f"question answering by positions is not supported by {comparing}, which compares logits of classes: "
            f"{other}"
        )
    if len(several) > 1:
        raise HoldfastError(
            f"{comparing} compares one set of outputs, with one column of labels, and the trainer has "
            f"{len(several)} ({', '.join(several)}): {other}"
        )
    if several and several[0] != "labels":
        raise HoldfastError(
            f"{comparing} compares the outputs of labelled rows, and the trainer has {several[0]!r} for labels: name "
            f"column, label_names and the model's argument 'labels', or {other}"
        )
    plain = trainer.data_collator is default_data_collator or isinstance(trainer.data_collator, DataCollatorWithPadding)
    if columns and plain and not any(name in columns for name in _LABELS):
        raise HoldfastError(
            f"{comparing} compares the outputs of labelled rows, and the train_dataset has no labels (its columns: "
            f"{', '.join(columns)}): name their column 'labels', or {other}"
        )


def _try_own_model(trainer: Trainer, methods: Sequence[Method]) -> None:
    """Look at what a model that is none of Transformers' returns for two rows, where that is easily had."""
    model, data, made = trainer.model, trainer.train_dataset, cast(Any, trainer.model_init)
    known = made is not None or isinstance(getattr(model, "base_model", model), PreTrainedModel)
    if (
        known
        or not any(method.requires.outputs for method in methods)
        or not (has_length(data) and hasattr(data, "__getitem__"))
    ):
        return
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices):
        try:
            rows = [cast(Any, data)[row] for row in range(min(2, len(cast(Any, data))))]
            learn_head(cast(nn.Module, model), trainer._prepare_inputs(trainer.data_collator(rows)))
        except HoldfastError:
            raise
        except Exception:  # noqa: BLE001
            return  # columns that compute_loss takes out, say: the first step will tell


def _columns(trainer: Trainer) -> list[str]:
    """Return the columns of the training data; nothing where reading a row would be needed."""
    data: Any = trainer.train_dataset
    named = getattr(data, "column_names", None)
    if isinstance(named, list):
        return [str(name) for name in named]
    if isinstance(data, list) and data and isinstance(data[0], Mapping):
        return [str(name) for name in data[0]]
    return []

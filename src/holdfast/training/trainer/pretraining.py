"""What methods train first, on a Transformers ``Trainer``."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn
from transformers import Trainer
from transformers.trainer_utils import has_length

from holdfast.methods.base import Method, Plan, SelfSupervised
from holdfast.training.pretraining.corruption import check_words
from holdfast.training.pretraining.self_supervised import StageProgress, Text, retrain
from holdfast.training.session.lifecycle import checked


def check_pretraining(trainer: Trainer, methods: Sequence[Method]) -> None:
    """Raise ``HoldfastError`` when ``methods`` cannot train first what ``trainer`` has; not for a model made later."""
    made: Any = trainer.model_init
    if made is not None:
        return
    assert trainer.model is not None
    total = trainer.args.max_steps if trainer.args.max_steps > 0 else None
    for method in checked(trainer.model, methods, Plan(total, trainer.args.seed)):
        if method.requires.text:
            check_words(trainer.model, _tokenizer(trainer), method.name)


def pretrain(
    trainer: Trainer,
    model: nn.Module,
    batches: Callable[[Any], Iterator[Mapping[str, Any]]],
    method: Method,
    training: SelfSupervised,
) -> None:
    """Do ``training`` on ``model``, with the texts of ``trainer``; ``batches`` gives a pass over a loader of them.

    Shows a bar where the Trainer shows its own. Callbacks with a method ``on_stage`` are told of every step, with
    a ``StageProgress``.
    """
    # The Trainer does both, but later.
    model.to(trainer.args.device)
    if trainer.args.activation_checkpointing and hasattr(model, "activation_checkpointing_enable"):
        asked: Any = trainer.args.activation_checkpointing_kwargs
        kept = dict(asked or {})
        layers = {key: kept.pop(key) for key in ("every_n_layers", "offload") if key in kept}
        model.activation_checkpointing_enable(activation_checkpointing_kwargs=kept or None, **layers)  # type: ignore[operator]
    # One for all passes: it tells them apart, and shuffles anew in each.
    loader = trainer.get_train_dataloader()
    # Without a scaler, as there is none yet, small gradients would be lost.
    half = trainer.accelerator.mixed_precision == "fp16"
    text = Text(
        functools.partial(batches, loader),
        len(loader) if has_length(loader) else None,
        trainer.args.gradient_accumulation_steps,
        _tokenizer(trainer),
        nullcontext if half else trainer.accelerator.autocast,
    )
    with _Bar(method.name, shown=trainer.is_world_process_zero() and not trainer.args.disable_tqdm) as bar:

        def report(progress: StageProgress) -> None:
            bar(progress)
            for callback in trainer.callback_handler.callbacks:
                told = getattr(callback, "on_stage", None)
                if told is not None:
                    told(progress)

        retrain(model, training, text, trainer.args.seed, method.name, report)


def _tokenizer(trainer: Trainer) -> Any:
    found: Any = trainer.processing_class
    return getattr(trainer.data_collator, "tokenizer", None) if found is None else found


class _Bar:
    """A progress bar of a stage."""

    def __init__(self, name: str, shown: bool) -> None:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]

        self.bar = tqdm(desc=name, disable=not shown)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *problem: object) -> None:
        self.bar.close()

    def __call__(self, progress: StageProgress) -> None:
        if progress.loss is None:
            self.bar.reset(progress.total)
            return
        self.bar.update(progress.step - self.bar.n)
        self.bar.set_postfix(loss=f"{progress.loss:.3f}")

"""Methods on a Transformers ``Trainer``: everything else in the script stays as it is."""

import copy
import functools
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import nn
from transformers import Trainer, TrainerCallback

from holdfast.errors import HoldfastError
from holdfast.methods import describe
from holdfast.methods.base import Method, Plan, TrainingData
from holdfast.training.forward.objective import Objective
from holdfast.training.session.lifecycle import calibrate, finish, replaces_model, start
from holdfast.training.session.param_groups import check_covered, is_outlived, split_groups, uncovered
from holdfast.training.session.unwrapping import guard_hooks, is_compiled
from holdfast.training.trainer.checkpoints import Saving
from holdfast.training.trainer.checks import check_length, check_trainer, trimming
from holdfast.training.trainer.evaluation import Evaluating
from holdfast.training.trainer.loss import Computing
from holdfast.training.trainer.pretraining import check_pretraining, pretrain
from holdfast.training.trainer.state import Attachment

_TALLIES = ("_metrics", "_total_train_tokens")
"""What TRL's trainers count in ``compute_loss``, which is not to count the passes of methods that measure."""
_OPTIMIZER = (
    "let the Trainer build it: leave out optimizers=(optimizer, ...), or name its class in "
    "Trainer(..., optimizer_cls_and_kwargs=(AdamW, {'lr': 2e-5}))"
)


def attach(trainer: Trainer, *methods: Method, stacked: bool = True, trim_vocabulary: bool = False) -> Trainer:
    """Make ``trainer`` train with ``methods``; returns it.

    Works on ``Trainer`` and its subclasses, before the first ``train()``. Training, evaluation, saving, logging
    and resuming go on as ever; logs gain ``loss/task`` and one ``loss/<method>`` each, checkpoints a small file
    with the methods' state. Evaluation is one clean forward with the plain loss, and what is saved is a plain
    model. After ``train()`` the model itself is plain again.

    It also mends the gradient of heads that ignore ``num_items_in_batch``, which the Trainer of Transformers 5
    multiplies by the number of accumulation steps and processes.

    Args:
        trainer: A ``Trainer`` or one of a subclass.
        methods: Configurations, in the order in which they act where they do not say otherwise.
        stacked: False runs a batch's copies in turn: half the activation memory, more forward passes.
        trim_vocabulary: Train the embeddings of the tokens that the trainer's rows have alone, and keep the others as
            they are: the same for Adam without weight decay, with less memory and time.

    Raises:
        HoldfastError: Where the methods cannot work together, on this model, on this kind of trainer or in this set-up.

    Example:
        >>> trainer = attach(Trainer(model, args, train_dataset=data), R3F(weight=0.5), DPS(drop=0.2))
        >>> output = trainer.train()
    """
    if isinstance(trainer, _Attached):
        raise HoldfastError("methods are attached to this trainer already: name all of them in one attach() call")
    check_trainer(trainer, methods)
    if trim_vocabulary:
        methods = (*methods, trimming(trainer))
    plain = type(trainer)
    trainer.__class__ = type(type(trainer).__name__, (_Attached, type(trainer)), {})
    attached = cast(_Attached, trainer)
    attached._holdfast = Attachment(methods, stacked, trainer.optimizer is None)
    try:
        if any(method.requires.text for method in methods):
            # Only train() knows whether the training is resumed, and whether the texts are trained on already.
            check_pretraining(trainer, methods)
        elif not attached._holdfast_model_is_made_anew():
            attached._holdfast_prepare(attached.model)
    except BaseException:
        trainer.__class__ = plain
        raise
    attached.add_callback(_Events(attached))
    return attached


class _Attached(Saving, Evaluating, Computing):
    """Mixed in before the trainer's own class by ``attach``."""

    # Life of the model

    def _holdfast_prepare(self, model: nn.Module | None) -> None:
        assert model is not None
        if self.args.torch_compile or is_compiled(model):
            guard_hooks()
        own = self._holdfast
        total = self.args.max_steps if self.args.max_steps > 0 else None
        plan = Plan(total, self.args.seed)
        given = {id(p) for p in model.parameters()}
        again = own.pretrained is model
        first = functools.partial(pretrain, self, model, self._holdfast_batches)
        own.sessions = start(model, own.given, plan, None if own.resumed or again else first, again)
        own.pretrained = model
        if own.objective is None or own.objective.model is not model:
            try:
                own.objective = Objective(model, own.sessions, stacked=own.stacked)
            except BaseException:
                finish(own.sessions)
                raise
        else:
            # Compiled, trained, finished and now trained again: the hook must stay the one that was compiled in.
            own.objective.sessions = own.sessions
        own.prepared = True
        if self._holdfast_optimizer_is_outlived(model, given):
            self.optimizer, self.model_wrapped = None, model
        own.trained = list(model.parameters())
        if self.optimizer is not None:
            try:
                check_covered(model, self.optimizer, given, _OPTIMIZER)
                split_groups(self.optimizer, model, own.sessions)
            except HoldfastError:
                self._holdfast_finish()
                raise

    def _holdfast_optimizer_is_outlived(self, model: nn.Module, given: set[int]) -> bool:
        """Whether the optimizer, which the Trainer keeps, is that of a training whose parameters are others now."""
        own = self._holdfast
        if not own.makes_optimizer or self.optimizer is None:
            return False
        return is_outlived(model, self.optimizer, own.trained) or bool(uncovered(model, self.optimizer, given))

    def _holdfast_model_is_made_anew(self) -> bool:
        init: Any = self.model_init
        return init is not None

    def call_model_init(self, trial: Any = None) -> nn.Module:
        model: nn.Module = super().call_model_init(trial)
        # The Trainer does so next: it belongs to the model of an earlier training.
        self.optimizer = None
        self._holdfast_prepare(model)
        return model

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        own = self._holdfast
        own.resumed = bool(resume_from_checkpoint)
        if not own.prepared and not self._holdfast_model_is_made_anew():
            self._holdfast_prepare(self.model)
        own.terms, own.logged_step, own.skipped, own.fresh = {}, 0, 0, {}
        own.reduction, own.computed, own.facts = None, False, {}
        try:
            result = super().train(resume_from_checkpoint, *args, **kwargs)
            self._holdfast_select()
        finally:
            self.is_in_train = False
            # Also after Ctrl-C: what the user does next with the model must not see the surgery.
            self._holdfast_finish()
        if own.facts:
            self.log(own.facts)
        return result

    def _holdfast_finish(self) -> None:
        own = self._holdfast
        if own.objective is not None and own.prepared:
            own.facts, own.sessions = finish(own.sessions), []
        if own.objective is not None and not self.args.torch_compile:
            own.objective.remove()
            own.objective = None
        own.prepared = False

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        made = super().create_optimizer(*args, **kwargs)
        objective = self._holdfast.objective
        if objective is not None and self.optimizer is not None:
            split_groups(self.optimizer, objective.model, self._holdfast.sessions)
        return made

    def _holdfast_begin(self) -> None:
        """Before the first step, with everything loaded: what needs the training's length or its data."""
        own = self._holdfast
        assert own.objective is not None
        for method in own.given:
            method.check_plan(Plan(self.state.max_steps, self.args.seed))
        if self.state.global_step > 0:
            return
        model = own.objective.model
        # Out of memory in the middle, the Trainer begins again and counts from 0, and so must the methods.
        own.terms, own.logged_step, own.skipped = {}, 0, 0
        for session in own.sessions:
            if session.method.name in own.fresh:
                session.load_state_dict({k: v.clone() for k, v in own.fresh[session.method.name].items()})
        if own.fresh:
            return
        looking = [session for session in own.sessions if session.method.requires.data]
        if looking:
            check_length(self.get_train_dataloader(), [session.method for session in looking])
            tallies = {name: copy.deepcopy(vars(self)[name]) for name in _TALLIES if name in vars(self)}
            calibrate(model, looking, TrainingData(self._holdfast_batches, self._holdfast_plain_loss))
            vars(self).update(tallies)
        if self.args.auto_find_batch_size:
            for session in own.sessions:
                if not replaces_model(session):
                    own.fresh[session.method.name] = {k: v.cpu() for k, v in session.state_dict().items()}

    def _holdfast_batches(self, loader: Any = None) -> Iterator[Mapping[str, Any]]:
        loader = self.get_train_dataloader() if loader is None else loader
        ended = False
        try:
            for batch in loader:
                yield self._prepare_inputs(batch)
            ended = True
        finally:
            if not ended and hasattr(loader, "end"):
                # Accelerate would take a loader left half-way for the one that is being trained on.
                loader.end()

    # One optimizer step

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        if not any(method.requires.gradients for method in self._holdfast.given):
            return super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        finite = self._holdfast_gradients(model)
        norm = nn.utils.clip_grad_norm_(model.parameters(), self.args.max_grad_norm)
        if finite:
            self._holdfast_clipped()
        return norm

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = self._holdfast_norm(model, grad_norm)
        if self.accelerator.scaler is not None:
            # A fused optimizer is called on an overflow too and skips inside, which Accelerate does not see.
            self._holdfast.overflowed = not bool(torch.isfinite(torch.as_tensor(norm)))
        return norm

    def _holdfast_norm(self, model: nn.Module, grad_norm: Any) -> Any:
        if grad_norm is None and any(method.requires.gradients for method in self._holdfast.given):
            finite = self._holdfast_gradients(model)
            norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
            if finite:
                self._holdfast_clipped()
            return norm
        return super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]

    def _holdfast_gradients(self, model: nn.Module) -> bool:
        self.accelerator.unscale_gradients()
        norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
        finite = bool(torch.isfinite(norm))
        if finite:
            for session in self._holdfast.sessions:
                session.on_gradients(self._holdfast_step())
        return finite

    def _holdfast_clipped(self) -> None:
        for session in self._holdfast.sessions:
            session.on_clipped_gradients(self._holdfast_step())

    # Logging

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        own = self._holdfast
        if "loss" in logs and own.terms:
            steps = max(1, self.state.global_step - own.logged_step)
            for name, total in own.terms.items():
                mean = self.accelerator.gather(total).mean() if self.args.world_size > 1 else total
                logs[f"loss/{name}"] = float(mean) / steps
            own.terms, own.logged_step = {}, self.state.global_step
        super().log(logs, *args, **kwargs)


class _Events(TrainerCallback):
    """Tells the trainer when training begins, and the methods about each optimizer step that was not skipped."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._holdfast_begin()

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        own = self.trainer._holdfast
        if own.overflowed or self.trainer.accelerator.optimizer_step_was_skipped:
            own.skipped += 1
            return
        if not own.computed and own.objective.acts:
            raise HoldfastError(
                f"training_step of {type(self.trainer).__name__} does not call self.compute_loss, where "
                f"{describe(own.given)} acts: compute the loss there, or use methods on weights or gradients alone"
            )
        for session in own.sessions:
            session.after_step(self.trainer._holdfast_step())

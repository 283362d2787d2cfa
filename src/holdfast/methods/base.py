"""The contract every method keeps: a configuration that declares what it needs, and the session of one training.

A ``Method`` is a frozen dataclass whose fields are its hyper-parameters. Its ``start`` gives a ``MethodSession``, which
changes the model where the method wants that, holds all state of the training, and answers the hooks it needs. They
are called in this order::

    Method.check(model), check_plan(plan)         refuse what cannot work, before anything is changed
    Method.start(model, plan)                     once, before the optimizer exists
        pretraining()                             training to be done first; not in a training that is resumed
    lr_multipliers()                              once, when the optimizer exists
    calibrate(data)                               once, before the first step of a training that is not resumed
    for each optimizer step:
        for each micro-batch:
            views(step)                           copies of the batch for this forward pass
            perturb_inputs(trial)                 what the encoder gets in place of the rows' embeddings
            loss(forward)                         scalar added to the task's loss
        on_gradients(step)                        whole, unscaled gradients, before clipping
        on_clipped_gradients(step)                the same after clipping, as the optimizer will read them
        optimizer.step()
        after_step(step)                          after the optimizer moved the weights
    final_weights()                               around evaluation: the model computes as the finished one would
    state_dict(), plain_state(state)              at every checkpoint
    load_state_dict(state)                        in a training that is resumed
    select(score)                                 after the last step, where there are validation rows
    finish()                                      once, at the end

Several methods act in the order that they declare (``Requires.order``), and otherwise in that in which they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from torch import Tensor, nn

from holdfast.methods.forward import Forward, Perturb, Step, TrialForward, View
from holdfast.methods.requires import Footprint, Requires


@dataclass(frozen=True)
class Plan:
    """What is known before training starts.

    Example:
        >>> Plan(total_steps=100).seed
        0
    """

    total_steps: int | None
    """Optimizer steps of the whole training; None when the loop does not know."""
    seed: int = 0


@dataclass(frozen=True)
class TrainingData:
    """The training data, for methods that look at it before they train.

    Example:
        >>> data = TrainingData(lambda: iter(loader), lambda batch: model(**batch).loss)
        >>> loss = data.loss(next(data.batches()))
    """

    batches: Callable[[], Iterator[Mapping[str, Any]]]
    """Gives one pass over the training rows: the model's keyword arguments with labels, on the model's device.
    Under DDP a process gets its share of the rows."""
    loss: Callable[[Mapping[str, Any]], Tensor]
    """Gives the task's loss of one such batch, a scalar with gradient: the mean over its rows."""


@dataclass(frozen=True)
class SelfSupervised:
    """Training on the task's own texts without their labels, with the model's own pre-training task.

    That is masked tokens for encoders, the next token for decoders, and corrupted spans for T5.

    Example:
        >>> SelfSupervised(epochs=3, learning_rate=1e-4, mask_rate=0.15).epochs
        3
    """

    epochs: int
    """Passes over the training texts."""
    learning_rate: float
    """Peak rate of AdamW, after a warm-up over the first tenth of the steps; it then falls linearly to 0."""
    mask_rate: float
    """Share of the tokens that the model has to predict; decoders predict all."""


@dataclass(frozen=True)
class Method:
    """Base of all methods: plain fine-tuning, unchanged.

    Subclasses are frozen dataclasses of hyper-parameters, which are checked in ``__post_init__``. State lives in the
    session that ``start`` gives, so one method may serve several trainings.

    Example:
        >>> R3F(weight=0.5) == holdfast.methods.parse("r3f(weight=0.5)")[0]
        True
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    @property
    def requires(self) -> Requires:
        """What the method needs, given its hyper-parameters."""
        return Requires(whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Return which weights of ``model``, not yet prepared, the method works on and what state it keeps.

        ``model`` may be without memory, on the meta device. Raises ``HoldfastError`` when the method cannot work on it.
        """
        return Footprint()

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when the method cannot work in this training.

        Asked again, of a model already prepared, where the length of the training becomes known later.
        """

    def start(self, model: nn.Module, plan: Plan) -> MethodSession[Any]:
        """Return the session of one training of ``model``, which it may change; the optimizer does not exist yet."""
        return MethodSession(self, model, plan)


M = TypeVar("M", bound=Method)


class MethodSession(Generic[M]):
    """State of one training with a method; every hook is optional.

    State lives in typed attributes, or in buffers of modules that the session swapped in; not in the optimizer's state
    for a parameter, which AdamW sets up only where it is empty and casts to the parameter's type when it is loaded.

    Attributes:
        method: The configuration.
        model: The plain module that is trained, not what wraps it.
        plan: Seed and length of the training, as far as known at its start.

    Example:
        >>> session = R3F(sigma=0.1).start(model, Plan(total_steps=100))
        >>> len(session.views(Step(index=0, total=100)))
        1
    """

    def __init__(self, method: M, model: nn.Module, plan: Plan) -> None:
        self.method = method
        self.model = model
        self.plan = plan

    def pretraining(self) -> Iterable[SelfSupervised]:
        """Give the training to be done first, on the model as it is; every parameter stays the object it is.

        What follows a ``yield`` runs when that training is done. Also asked in a resumed training, whose weights have
        the result already: it is not done again then.
        """
        return ()

    def lr_multipliers(self) -> Mapping[str, float]:
        """Return factors of the learning rate by name of the parameter, 1 for those not named.

        The optimizer's parameter groups are split accordingly, before the first step and any learning-rate schedule.
        """
        return {}

    def calibrate(self, data: TrainingData) -> None:
        """Look at the training data, once, before the first step; a resumed training has its result in its state.

        The global random generator and the modules' modes are put back afterwards, and gradients are cleared.
        """

    def views(self, step: Step) -> Sequence[View]:
        """Return further copies of the micro-batch to run at this step. Asked once a micro-batch."""
        return ()

    def perturb_inputs(self, trial: TrialForward) -> Perturb | None:
        """Return what is done to the input embeddings of the rows themselves; None leaves them. Only in training.

        Views do not get it. Several methods' are applied one after another.
        """
        return None

    def loss(self, forward: Forward) -> Tensor | None:
        """Return a scalar to add to the task's loss, weight included; None adds nothing. Only called in training."""
        return None

    def on_gradients(self, step: Step) -> None:
        """Change gradients in place: whole (all micro-batches), unscaled, not yet clipped."""

    def on_clipped_gradients(self, step: Step) -> None:
        """Change gradients in place after clipping, right before the optimizer reads them."""

    def after_step(self, step: Step) -> None:
        """Act after the optimizer moved the weights; not called when the step was skipped."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the tensors needed to go on after an interruption, beside the plain checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned, after the plain checkpoint was loaded."""

    def final_weights(self) -> AbstractContextManager[None]:
        """Return a context in which the model computes as the finished one would, for evaluation during training.

        For methods that end with other weights than those they train. ``plain_state`` of all methods is called in it,
        so such a method need not have one of its own, and the weights being trained belong into its ``state_dict``.
        """
        return nullcontext()

    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn the model's state dict into that of the plain model; must not change the model."""
        return state

    def select(self, score: Callable[[], float]) -> None:
        """Choose by validation, once, after the last step, before ``finish``.

        ``score`` evaluates the model as it then is on the validation rows, higher is better. Not called where there
        are no such rows. Must leave the weights for ``finish`` to change.
        """

    def finish(self) -> Mapping[str, float]:
        """Undo all surgery in place, so that the model is an ordinary one of the same function.

        Returns numbers about the training that ended, by name, for its log and record. A method with ``pretraining``
        gives ``start_distance``: that of the final weights of the body from those with which the task's own training
        began.
        """
        return {}

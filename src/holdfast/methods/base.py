"""The contract every method keeps.

A method is a frozen dataclass whose fields are its hyper-parameters. It answers those hooks it needs and
inherits the rest. The engine calls them in this order::

    check(model), check_plan(plan)                refuse what cannot work, before anything is changed
    stages(model, plan)                           training to be done first, once; not in a training that is resumed
    prepare(model, plan)                          once, before the optimizer exists
    rates(model)                                  once, when the optimizer exists
    measure(model, data)                          once, before the first step of a training that is not resumed
    for each optimizer step:
        for each micro-batch:
            disturb(probe)                        what the encoder gets in place of the rows' embeddings
            views(step)                           copies of the batch for this forward pass
            penalty(forward)                      scalar added to the task loss
        on_gradients(step)                        whole, unscaled gradients, before clipping
        on_clipped_gradients(step)                the same after clipping, as the optimizer will read them
        optimizer.step()
        on_update(step)                           after the optimizer moved the weights
    shown(model)                                  around evaluation: the model computes as the finished one would
    plain_state(model, state)                     at every checkpoint: what a plain model would save
    choose(model, score)                          after the last step, where there are validation rows
    finish(model)                                 once, at the end
    facts()                                       numbers about the training that ended

Several methods act in the order in which they were given, those that train first (``stages``)
and then those that decide what is trained (``freezes``) before the others, those with ``shown`` after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

Kind = Literal["single_label", "multi_label", "regression", "tokens"]
"""What the model's outputs mean: logits of one class a row, independent logits, values, or logits a token."""


@dataclass(frozen=True)
class Plan:
    """What is known before training starts."""

    total_steps: int | None
    """Optimizer steps of the whole training; None when the loop does not know."""
    seed: int = 0


@dataclass(frozen=True)
class TrainingData:
    """The training data, for methods that look at it before they train."""

    batches: Callable[[], Iterator[Mapping[str, Any]]]
    """Gives one pass over the training rows: the model's keyword arguments with labels, on the model's device.
    Under DDP a process gets its share of the rows."""
    loss: Callable[[Mapping[str, Any]], Tensor]
    """Gives the task's loss of one such batch, a scalar with gradient: the mean over its rows."""


@dataclass(frozen=True)
class SelfSupervised:
    """A stage of training on the task's own texts without their labels, with the model's own pre-training task.

    That is masked tokens for encoders, the next token for decoders, and corrupted spans for T5.
    """

    epochs: int
    """Passes over the training texts."""
    learning_rate: float
    """Peak rate of AdamW, after a warm-up over the first tenth of the steps; it then falls linearly to 0."""
    mask_rate: float
    """Share of the tokens that the model has to tell; decoders tell all."""


@dataclass(frozen=True)
class Selection:
    """Which weights a method works on, and the memory that costs."""

    weights: Mapping[str, Tensor]
    """By parameter name; on the meta device where the model is."""
    doing: str
    """What is done with them, in a few words: "30 % of each matrix frozen at a time"."""
    state_bytes: int
    """Most bytes kept at once, beside the model, its gradients and the optimizer's state."""


@dataclass(frozen=True)
class Step:
    """Where training is. Counts optimizer steps, so accumulation does not change what a method does."""

    index: int
    """Optimizer steps done so far, skipped ones not counted: 0 during the first."""
    total: int | None
    model: nn.Module
    optimizer: torch.optim.Optimizer | None = None


Perturb = Callable[[Tensor], Tensor]
"""Maps hidden vectors, (rows, tokens, width), to what takes their place."""


class Probe(Protocol):
    """Trial passes over one micro-batch, for methods that look for a perturbation with the model's own gradient."""

    batch: Mapping[str, Any]
    """The model's keyword arguments, labels included."""
    kind: Kind
    step: Step
    outputs: Mapping[str, Any] | None
    """The model's on the clean rows, with gradient; None before they have run."""

    def __call__(self, perturb: Perturb, *, same_dropout: bool = False) -> Mapping[str, Any]:
        """Run the rows with ``perturb`` at the input embeddings and return the outputs, with gradient.

        ``same_dropout``: with the dropout masks of this batch's clean rows, which then have a forward of their own.
        Gradients are the caller's to take, by ``torch.autograd.grad``: none may be left on the weights.
        """

    def task_loss(self, logits: Tensor) -> Tensor | None:
        """Return the mean of the task's loss over the rows for ``logits``, as ``Forward.task_loss`` without share."""


@dataclass(frozen=True)
class View:
    """A further copy of the batch, with dropout of its own, run in the same forward pass where that can be.

    Equal views asked for by several methods are run once.
    """

    perturb: Perturb | None = None
    """Applied to the input embeddings of this copy, or to what enters its block ``layer``."""
    grad: bool = True
    """False: the copy runs without gradient, in a forward of its own."""
    share: float = 1.0
    """Part of the batch's rows that the copy has: the first ones, their number rounded up."""
    layer: int | None = None
    """Block, 0 the lowest, before which the copy leaves the clean rows: blocks below run once for both. It then has
    a forward of its own. None: at the input embeddings."""
    same_dropout: bool = False
    """Whether it has the dropout masks of the clean rows, each in a forward of its own; needs ``share`` 1."""
    find: Callable[[Probe], Perturb] | None = None
    """Finds ``perturb`` once the clean rows have run."""
    weights: Weights | None = None
    """Other values for the model's weights: the copy runs with these, without gradient and without dropout."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Values for the parameters of a model, by name; one object may be changed in place from step to step."""

    values: Mapping[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """What one forward pass gave: the clean batch and each view this method asked for."""

    outputs: Mapping[str, Any]
    """The model's outputs on the clean rows (``logits``, ``hidden_states`` where asked for)."""
    views: Sequence[Mapping[str, Any]]
    """The same for each view, in the order of ``Method.views``."""
    batch: Mapping[str, Any]
    """The model's keyword arguments, labels included; row r of every output belongs to row r here."""
    kind: Kind
    rows: float
    """Divide a sum over this batch's rows by this to get its part of the mean over the optimizer step.
    It is the number of rows unless the micro-batches of an accumulation window differ in size."""
    token_mask: Tensor | None = None
    """(rows, positions) true where an output position has a label; None for sentence-level tasks."""
    tokens: float = 0.0
    """As ``rows``, for labelled positions."""
    step: Step | None = None
    features: Tensor | None = None
    """What the head's last linear layer made the clean rows' logits of, for methods with ``needs_features``:
    (rows, width), or (rows, positions, width) where outputs are a token."""
    share: Tensor | float = 1.0
    """These rows' part of the step: what turns a mean over them into their part of the mean over the step."""
    blocks: Sequence[Tensor] = ()
    """For methods with ``needs_blocks``: what each transformer block gave for the clean rows, bottom first, each
    (rows, tokens, width)."""
    view_blocks: Sequence[Sequence[Tensor]] = ()
    """The same for each view; blocks below its ``layer`` gave it what they gave the clean rows."""
    task_loss: Callable[[Tensor], Tensor] | None = None
    """Gives these rows' part of the step's task loss for other logits in place of theirs; for several sets of
    them, one after another along the first dimension, the mean over the sets. None where the loss is not the
    model's own (label smoothing, a loss function of the trainer's) or follows no known formula."""


@dataclass(frozen=True)
class Method:
    """Base of all methods: plain fine-tuning, unchanged.

    Subclasses are frozen dataclasses. State that is not a hyper-parameter lives in ``memory``, which every engine
    starts afresh, or in buffers of modules the method swapped in; not in the optimizer's state for a parameter,
    which AdamW sets up only where it is empty and casts to the parameter's type when it is loaded.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    freezes: ClassVar[bool] = False
    """Whether ``prepare`` decides which weights are trained: it then comes before the other methods'."""
    needs_features: ClassVar[bool] = False
    """Whether ``penalty`` reads ``Forward.features``."""
    needs_blocks: ClassVar[bool] = False
    """Whether ``penalty`` reads ``Forward.blocks``."""
    needs_text: ClassVar[bool] = False
    """Whether its ``stages`` train on the task's texts."""
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False, hash=False)

    @property
    def replaces(self) -> frozenset[str]:
        """Parts of the model that the method takes over (``"head"``); two methods may not share one."""
        return frozenset()

    @property
    def uses(self) -> frozenset[str]:
        """What the method works on that another one may take over (``replaces``): the two are then refused."""
        return frozenset()

    @property
    def model_dropout(self) -> float | None:
        """Rate that the method sets all dropout of the model to while it trains; None leaves the model's own.

        A comparison with a baseline of another rate confounds the method with it, and says so.
        """
        return None

    @property
    def needs_validation(self) -> bool:
        """Whether the method can only ``choose`` where there are labelled rows beside those trained on and scored."""
        return False

    @property
    def needs_whole_pass(self) -> bool:
        """Whether ``measure`` or ``stages`` go over all training rows, which a stream has no end of."""
        kind = type(self)
        return kind.measure is not Method.measure or kind.stages is not Method.stages

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the method cannot work on this model."""

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when the method cannot work in this training."""

    def selection(self, model: nn.Module) -> Selection | None:
        """Return which weights of ``model``, not yet prepared, the method works on; None when that is all of it."""
        return None

    def study_rate(self, base: float) -> float:
        """Return the learning rate a study should train with, given that of its settings.

        In a loop or Trainer of the user's own, theirs is used as it is.
        """
        return base

    def stages(self, model: nn.Module, plan: Plan) -> Sequence[SelfSupervised]:
        """Return the training to be done first, on the plain model; every parameter stays the object it is.

        Also asked in a resumed training, whose weights have the result already: it is not done again then.
        """
        return ()

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Change or measure the model before the optimizer exists. Called once."""

    def measure(self, model: nn.Module, data: TrainingData) -> None:
        """Look at the training data, once, before the first step; a resumed training has its result in its state.

        The global random generator is put back afterwards, and gradients are cleared.
        """

    def rates(self, model: nn.Module) -> Mapping[str, float]:
        """Return factors of the learning rate by name of the parameter, 1 for those not named; ``model`` is prepared.

        The optimizer's parameter groups are split accordingly, before the first step and any learning-rate schedule.
        """
        return {}

    def disturb(self, probe: Probe) -> Perturb | None:
        """Return what is done to the input embeddings of the rows themselves; None leaves them. Only in training.

        Views do not get it. Several methods' are applied one after another.
        """
        return None

    def views(self, step: Step) -> Sequence[View]:
        """Further copies of the batch to run at this step."""
        return ()

    def penalty(self, forward: Forward) -> Tensor | None:
        """Scalar to add to the loss, weight included; None adds nothing. Only called in training."""
        return None

    def on_gradients(self, step: Step) -> None:
        """Change gradients in place: whole (all micro-batches), unscaled, not yet clipped."""

    def on_clipped_gradients(self, step: Step) -> None:
        """Change gradients in place after clipping, right before the optimizer reads them."""

    def on_update(self, step: Step) -> None:
        """Act after the optimizer moved the weights; not called when the step was skipped."""

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Tensors needed to go on after an interruption, beside the plain checkpoint."""
        return {}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned, after the plain checkpoint was loaded."""

    def shown(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return a context in which the model computes as the finished one would, for evaluation during training.

        For methods that end with other weights than those they train. ``plain_state`` of all methods is called in it,
        so such a method need not have one of its own, and the weights being trained belong into its ``state_dict``.
        """
        return nullcontext()

    def choose(self, model: nn.Module, score: Callable[[], float]) -> None:
        """Choose by validation, once, after the last step, before ``finish``.

        ``score`` evaluates the model as it then is on the validation rows, higher is better. Not called where there
        are no such rows. Must leave the weights for ``finish`` to change.
        """

    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn the model's state dict into that of the plain model; must not change ``model``."""
        return state

    def finish(self, model: nn.Module) -> None:
        """Undo all surgery in place, so that the model is an ordinary one of the same function."""

    def facts(self) -> Mapping[str, float]:
        """Return numbers about the training that ended, by name, for its log and record; asked after ``finish``.

        A method with ``stages`` tells ``start_distance``: that of the final weights of the body from those with which
        the task's own training began.
        """
        return {}

"""What methods ask of a forward pass, and what they get of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

Kind = Literal["single_label", "multi_label", "regression", "tokens"]
"""What the model's outputs mean: logits of one class a row, independent logits, values, or logits a token."""


@dataclass(frozen=True)
class Step:
    """Where training is. Counts optimizer steps, so accumulation does not change what a method does.

    Example:
        >>> R3F(every=2).start(model, Plan(total_steps=100)).views(Step(index=1, total=100))
        ()
    """

    index: int
    """Optimizer steps done so far, skipped ones not counted: 0 during the first."""
    total: int | None
    optimizer: torch.optim.Optimizer | None = None


Perturb = Callable[[Tensor], Tensor]
"""Maps hidden vectors, (rows, tokens, width), to what takes their place."""


class TrialForward(Protocol):
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

    Example:
        >>> View(grad=False).share
        1.0
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
    find: Callable[[TrialForward], Perturb] | None = None
    """Finds ``perturb`` once the clean rows have run."""
    weights: Weights | None = None
    """Other values for the model's weights: the copy runs with these, without gradient and without dropout."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Values for the parameters of a model, by name; one object may be changed in place from step to step."""

    values: Mapping[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """What one forward pass gave: the clean batch and each view this method asked for.

    Example:
        >>> logits = {"logits": torch.zeros(2, 3)}
        >>> forward = Forward(logits, [logits], {}, "single_label", rows=2)
        >>> len(forward.views)
        1
    """

    outputs: Mapping[str, Any]
    """The model's outputs on the clean rows (``logits``, ``hidden_states`` where asked for)."""
    views: Sequence[Mapping[str, Any]]
    """The same for each view, in the order of ``MethodSession.views``."""
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
    features: Tensor | None = None
    """What the head's last linear layer made the clean rows' logits of, for methods that require ``features``:
    (rows, width), or (rows, positions, width) where outputs are a token."""
    share: Tensor | float = 1.0
    """These rows' part of the step: what turns a mean over them into their part of the mean over the step."""
    blocks: Sequence[Tensor] = ()
    """For methods that require ``blocks``: what each transformer block gave for the clean rows, bottom first, each
    (rows, tokens, width)."""
    view_blocks: Sequence[Sequence[Tensor]] = ()
    """The same for each view; blocks below its ``layer`` gave it what they gave the clean rows."""
    task_loss: Callable[[Tensor], Tensor] | None = None
    """Gives these rows' part of the step's task loss for other logits in place of theirs; for several sets of
    them, one after another along the first dimension, the mean over the sets. None where the loss is not the
    model's own (label smoothing, a loss function of the trainer's) or follows no known formula."""

"""The contract every method keeps.

A method is a frozen dataclass whose fields are its hyper-parameters. It answers those hooks it needs and
inherits the rest. The engine calls them in this order::

    prepare(model, plan)                          once, before the optimizer exists
    for each optimizer step:
        for each micro-batch:
            views(step)                           copies of the batch for this forward pass
            penalty(forward)                      scalar added to the task loss
        on_gradients(step)                        whole, unscaled gradients, before clipping
        optimizer.step()
        on_update(step)                           after the optimizer moved the weights
    plain_state(model, state) at every checkpoint what a plain model would save
    finish(model)                                 once, at the end

Several methods act in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

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
class Step:
    """Where training is. Counts optimizer steps, so accumulation does not change what a method does."""

    index: int
    """Optimizer steps done so far: 0 during the first."""
    total: int | None
    model: nn.Module
    optimizer: torch.optim.Optimizer | None = None


@dataclass(frozen=True)
class View:
    """A further copy of the batch, run in the same forward pass, with dropout of its own.

    Equal views asked for by several methods are run once.
    """

    perturb: Callable[[Tensor], Tensor] | None = None
    """Maps the input embeddings of this copy, (rows, tokens, width), to what the encoder gets instead."""
    grad: bool = True
    """False: the copy runs without gradient, in a forward of its own."""


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


@dataclass(frozen=True)
class Method:
    """Base of all methods: plain fine-tuning, unchanged.

    Subclasses are frozen dataclasses. State that is not a hyper-parameter lives in the optimizer's state, in
    buffers of modules the method swapped in, or in ``memory``, which every engine starts afresh.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    replaces: ClassVar[frozenset[str]] = frozenset()
    """Parts of the model that the method takes over (``"head"``); two methods may not share one."""
    memory: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False, hash=False)

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the method cannot work on this model."""

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Change or measure the model before the optimizer exists. Called once."""

    def views(self, step: Step) -> Sequence[View]:
        """Further copies of the batch to run at this step."""
        return ()

    def penalty(self, forward: Forward) -> Tensor | None:
        """Scalar to add to the loss, weight included; None adds nothing. Only called in training."""
        return None

    def on_gradients(self, step: Step) -> None:
        """Change gradients in place: whole (all micro-batches), unscaled, not yet clipped."""

    def on_update(self, step: Step) -> None:
        """Act after the optimizer moved the weights; not called when the step was skipped."""

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Tensors needed to go on after an interruption, beside the plain checkpoint."""
        return {}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned, after the plain checkpoint was loaded."""

    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Turn the model's state dict into that of the plain model; must not change ``model``."""
        return state

    def finish(self, model: nn.Module) -> None:
        """Undo all surgery in place, so that the model is an ordinary one of the same function."""

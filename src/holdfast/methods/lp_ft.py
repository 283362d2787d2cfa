"""LP-FT: the head first, then everything."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Selection, TrainingData
from holdfast.methods.parts.body_cache import LIMIT, BodyCache
from holdfast.methods.parts.model.freezing import BODY, new_head, restore_flags, train_only
from holdfast.methods.parts.spectral import SpectralLinear

logger = logging.getLogger(__name__)

_LOSS_SCALE = 1024.0
"""Keeps small gradients from vanishing in fp16 autocast; a power of two, so without effect on any rounding."""


@dataclass(frozen=True)
class LPFT(Method):
    """Linear probing, then fine-tuning (Kumar et al. 2022): train the new head alone, then all weights as ever.

    Fine-tuning a new head together with the body changes the body's features while the head is still random. Here
    the head is trained first, on the features of the frozen body, which are computed once a row
    (``parts/body_cache.py``): by AdamW without weight decay, at a rate that falls linearly from epoch to epoch, all
    dropout off. The training proper begins with that head. These settings are our choice.

    Every layer of the head is trained first, also where it has two (RoBERTa) and is not linear.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), LPFT(epochs=2)).train()
        >>> holdfast.methods.describe([LPFT(epochs=2)])  # as commands spell it
        'lp_ft(epochs=2)'
    """

    name: ClassVar[str] = "lp_ft"
    summary: ClassVar[str] = "trains the head alone first, then everything"
    # Its stage comes first; methods that look at the data are to see the trained head, in whatever order given.
    freezes: ClassVar[bool] = True

    epochs: int = 10
    """Passes of the head over the training rows; but for the first they cost little."""
    learning_rate: float = 1e-3
    """Of the head in these passes, at their start."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise HoldfastError(f"lp_ft(epochs={self.epochs}): the head needs at least 1 pass over the training rows")
        if not 0 < self.learning_rate < float("inf"):
            raise HoldfastError(f"lp_ft(learning_rate={self.learning_rate!r}): learning_rate must be above 0")

    @property
    def uses(self) -> frozenset[str]:
        """The body in full, and the weights as the model computes with them: mixtures hold on to the random head."""
        return frozenset({BODY, "weights of the forward pass"})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model has no head of its own to train."""
        self._head(model)

    def selection(self, model: nn.Module) -> Selection:
        """Return the head. The state is the most that is kept of the training rows while it trains alone."""
        return Selection(self._head(model), f"trained alone for {self.epochs} epochs first", LIMIT)

    def measure(self, model: nn.Module, data: TrainingData) -> None:
        """Train the head; flags, modes and the body's ``forward`` are then as before, also after an error."""
        head = self._head(model)
        with _only(model, list(head.values()), self.name):
            losses = self._probe(model, list(head.values()), data)
        self.memory["losses"] = losses[0], losses[-1]
        logger.info("lp_ft: the head's mean loss fell from %.4g in its first epoch to %.4g", losses[0], losses[-1])

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The head's losses, for ``facts``: its weights are the model's."""
        return {"losses": torch.tensor(self.memory["losses"], dtype=torch.float64)} if "losses" in self.memory else {}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the losses."""
        if "losses" in state:
            self.memory["losses"] = tuple(state["losses"].tolist())

    def facts(self) -> Mapping[str, float]:
        """Return the head's mean training loss in the first and the last of its epochs alone."""
        if "losses" not in self.memory:
            return {}
        first, last = self.memory["losses"]
        return {"first_epoch_loss": first, "last_epoch_loss": last}

    def _probe(self, model: nn.Module, head: list[nn.Parameter], data: TrainingData) -> list[float]:
        """Return the mean loss of each epoch."""
        # In float32, as Adam's squares of gradients vanish in half precision.
        weights = [parameter.detach().float().clone() for parameter in head]
        optimizer = torch.optim.AdamW(weights, self.learning_rate, weight_decay=0.0)
        spectral = [module for module in model.modules() if isinstance(module, SpectralLinear)]
        losses = []
        for epoch in range(self.epochs):
            optimizer.param_groups[0]["lr"] = self.learning_rate * (1 - epoch / self.epochs)
            total, count = 0.0, 0
            for batch in data.batches():
                loss = data.loss(batch)
                (loss * _LOSS_SCALE).backward()  # type: ignore[no-untyped-call]
                finite, mean = _average(head, weights, loss)
                if finite:
                    optimizer.step()
                    total, count = total + mean, count + 1
                    _copy(weights, head)
                    for layer in spectral:
                        layer.refresh()
            if not count:
                raise HoldfastError(
                    "lp_ft found no loss with a finite gradient in the training data: look for an empty dataset, a "
                    f"loss that is nan, or a learning_rate (of {self.learning_rate:g}) that is too high"
                )
            losses.append(total / count)
        return losses

    def _head(self, model: nn.Module) -> dict[str, nn.Parameter]:
        head = new_head(model, self.name)
        if not head:
            raise HoldfastError(
                f"lp_ft trains the head first, and {type(model).__name__} has no new head that is trained: "
                "leave lp_ft out, or use a model with a classification head"
            )
        return head


@contextmanager
def _only(model: nn.Module, head: list[nn.Parameter], method: str) -> Iterator[None]:
    """Train ``head`` alone in this context, all dropout off and the body answered for by a memo."""
    modes = [(module, module.training) for module in model.modules()]
    memo = BodyCache(model, method)
    flags = train_only(model, head)
    model.eval()
    # The memo answers a model in training; dropout looks at its own mode.
    model.training = True
    try:
        yield
    finally:
        memo.remove()
        restore_flags(flags)
        for module, training in modes:
            module.training = training


@torch.no_grad()
def _average(head: list[nn.Parameter], weights: list[Tensor], loss: Tensor) -> tuple[bool, float]:
    """Move the gradients of ``head`` to ``weights``, averaged over all processes; return whether all is finite."""
    pieces = [torch.zeros_like(w) if p.grad is None else p.grad.float() for p, w in zip(head, weights, strict=True)]
    for parameter in head:
        parameter.grad = None
    flat = torch.cat([piece.flatten() for piece in [*pieces, loss.detach().float() * _LOSS_SCALE]]) / _LOSS_SCALE
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(flat)
        flat /= torch.distributed.get_world_size()
    *gradients, mean = torch.split(flat, [*(weight.numel() for weight in weights), 1])
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.view_as(weight)
    return bool(flat.isfinite().all()), float(mean)


@torch.no_grad()
def _copy(weights: list[Tensor], head: list[nn.Parameter]) -> None:
    for weight, parameter in zip(weights, head, strict=True):
        parameter.copy_(weight)
    # Within autocast the half-precision copies of the old values would be used again.
    torch.clear_autocast_cache()

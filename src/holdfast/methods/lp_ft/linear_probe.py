"""Linear probing: AdamW on the head alone, over the features of a frozen body."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import TrainingData
from holdfast.methods.parts.body_cache import BodyCache
from holdfast.methods.parts.model.freezing import restore_flags, train_only
from holdfast.methods.parts.spectral import SpectralLinear

_LOSS_SCALE = 1024.0
"""Keeps small gradients from vanishing in fp16 autocast; a power of two, so without effect on any rounding."""


def train_head(
    model: nn.Module, head: list[nn.Parameter], data: TrainingData, epochs: int, learning_rate: float, method: str
) -> list[float]:
    """Train the head of ``model`` alone and return its mean loss in each epoch.

    Flags and the body's ``forward`` are then as before, also after an error; modules are left in evaluation mode.

    Args:
        model: Its other parameters stay as they are.
        head: The parameters to train.
        data: The training rows; under DDP a process's share of them.
        epochs: Passes over them.
        learning_rate: At the start; it falls linearly from epoch to epoch.
        method: Named in errors.

    Raises:
        HoldfastError: Where no batch gives a finite gradient.
    """
    # In float32, as Adam's squares of gradients vanish in half precision.
    weights = [parameter.detach().float().clone() for parameter in head]
    optimizer = torch.optim.AdamW(weights, learning_rate, weight_decay=0.0)
    spectral = [module for module in model.modules() if isinstance(module, SpectralLinear)]
    losses = []
    with _head_alone(model, head, method):
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = learning_rate * (1 - epoch / epochs)
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
                    f"{method} found no loss with a finite gradient in the training data: look for an empty dataset, "
                    f"a loss that is nan, or a learning_rate (of {learning_rate:g}) that is too high"
                )
            losses.append(total / count)
    return losses


@contextmanager
def _head_alone(model: nn.Module, head: list[nn.Parameter], method: str) -> Iterator[None]:
    """Train ``head`` alone in this context, all dropout off and the body answered for by a cache."""
    cache = BodyCache(model, method)
    flags = train_only(model, head)
    model.eval()
    # The cache answers a model in training; dropout looks at its own mode.
    model.training = True
    try:
        yield
    finally:
        cache.remove()
        restore_flags(flags)


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

"""The curvature of a model's loss: its extremes by Lanczos' method, from products of the Hessian with vectors."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from holdfast.errors import HoldfastError
from holdfast.modes import evaluating

Loss = Callable[[nn.Module, Any], Tensor]
"""(model, batch) -> the mean loss over the rows of the batch, a scalar."""
Tensors = list[Tensor]


@dataclass(frozen=True)
class Curvature:
    """The extreme eigenvalues of a symmetric matrix, as far as the steps taken show them."""

    least: float
    """At or above the true one."""
    largest: float
    """At or below the true one."""
    steps: int
    """Products taken."""


def labelled_loss(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the loss that a model of Transformers gives for a batch with ``labels``, before any smoothing."""
    loss: Tensor = model(**batch).loss
    return loss


def hessian_curvature(
    model: nn.Module, batches: Sequence[Any], *, loss: Loss = labelled_loss, steps: int = 30, seed: int = 0
) -> Curvature:
    """Return the extreme curvatures of the mean loss over the rows of ``batches`` at the model's current weights.

    ``largest`` estimates beta and ``least`` mu of the full-tuning bound from one point: beta there is over all
    weights between start and end, and mu over each example. For a pre-trained model ``least`` is not above 0.
    Only trainable weights count, in evaluation mode, without dropout. One product is two backward passes over all
    batches; memory beside them is five times the weights.

    Args:
        model: Model, of which some weights are trainable.
        batches: At least one batch.
        loss: Gives the mean loss over the rows of a batch, a scalar, of the model and the batch.
        steps: Products of the Hessian with a vector, at most.
        seed: Of the vector to start from.

    Raises:
        HoldfastError: There are no batches, no trainable weights, or a product is not finite.
    """
    parameters = trainable(model)
    batches = _some(batches)

    def product(vector: Tensors) -> Tensors:
        return hessian_product(model, batches, vector, loss=loss)

    with evaluating(model):
        return lanczos(product, parameters, steps=steps, seed=seed)


def hessian_product(
    model: nn.Module, batches: Sequence[Any], vector: Tensors, *, loss: Loss = labelled_loss
) -> Tensors:
    """Return the Hessian of the mean loss over rows times ``vector``, which has a tensor for each trainable weight."""
    parameters = trainable(model)
    batches = _some(batches)
    total = [torch.zeros_like(parameter) for parameter in parameters]
    rows = [row_count(batch) for batch in batches]
    for batch, count in zip(batches, rows, strict=True):
        # The fused kernels of attention have no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            value = loss(model, batch)
            gradients = torch.autograd.grad(value, parameters, create_graph=True, materialize_grads=True)
            along = _inner(list(gradients), vector)
            if along.requires_grad:
                second = torch.autograd.grad(along, parameters, materialize_grads=True)
                torch._foreach_add_(total, list(second), alpha=count / sum(rows))
    return total


def lanczos(
    product: Callable[[Tensors], Tensors], like: Sequence[Tensor], *, steps: int = 30, seed: int = 0
) -> Curvature:
    """Return the extreme eigenvalues of the symmetric matrix that ``product`` multiplies a vector with.

    Three vectors are held: without making them orthogonal again, rounding brings copies of eigenvalues that were
    found, which leaves the extremes as they are (Paige 1971).

    Args:
        product: Multiplies a vector, a list of tensors shaped as ``like``, with the matrix.
        like: Tensors of the vectors' shapes, types and devices.
        steps: Products, at most.
        seed: Of the vector to start from.

    Raises:
        HoldfastError: A product is not finite, or ``steps`` is below 1.
    """
    if steps < 1:
        raise HoldfastError(f"steps is {steps}: give at least 1")
    generator = torch.Generator().manual_seed(seed)
    current = [torch.randn(one.shape, generator=generator).to(one.device, one.dtype) for one in like]
    _scale_(current, 1 / _norm(current))
    previous = [torch.zeros_like(one) for one in current]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    size = sum(one.numel() for one in like)
    for _ in range(min(steps, size)):
        image = product(current)
        diagonal.append(float(_inner(image, current)))
        if not math.isfinite(diagonal[-1]):
            raise HoldfastError("the curvature is not finite: take smaller weights, or float32 instead of float16")
        torch._foreach_sub_(image, torch._foreach_mul(current, diagonal[-1]))
        if off_diagonal:
            torch._foreach_sub_(image, torch._foreach_mul(previous, off_diagonal[-1]))
        off_diagonal.append(_norm(image))
        scale = max(map(abs, diagonal)) + max(off_diagonal)
        # The vectors so far span all that the matrix does to the start.
        if off_diagonal[-1] <= scale * torch.finfo(current[0].dtype).eps * size**0.5:
            break
        previous, current = current, image
        _scale_(current, 1 / off_diagonal[-1])
    eigenvalues = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off_diagonal[: len(diagonal) - 1], -1))
    return Curvature(least=float(eigenvalues[0]), largest=float(eigenvalues[-1]), steps=len(diagonal))


def trainable(model: nn.Module) -> Tensors:
    """Return the weights that are trained; raises ``HoldfastError`` when there are none."""
    parameters: Tensors = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise HoldfastError(f"{type(model).__name__} has no trainable weights: unfreeze what is to be measured")
    return parameters


def row_count(batch: Any) -> int:
    """Return how many rows a batch has: a mapping or sequence of tensors, or one tensor, rows first."""
    values = batch.values() if isinstance(batch, Mapping) else [batch] if isinstance(batch, Tensor) else batch
    return next(len(value) for value in values if isinstance(value, Tensor))


def _some(batches: Sequence[Any]) -> Sequence[Any]:
    if len(batches) == 0:
        raise HoldfastError("there are no batches: give at least one")
    return batches


def _inner(a: Tensors, b: Tensors) -> Tensor:
    return torch.stack([torch.sum(one * other) for one, other in zip(a, b, strict=True)]).sum()


def _norm(vector: Tensors) -> float:
    return float(torch.stack(torch._foreach_norm(vector)).norm())


def _scale_(vector: Tensors, factor: float) -> None:
    torch._foreach_mul_(vector, factor)

"""Layers that, in training, compute with a mixture of their weight and another one in its place."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.matrices import Matrix


@dataclass
class Mixture:
    """What a layer computes with: base + share * kept * (weight - base)."""

    base: Tensor
    """Shape of the weight."""
    share: float
    kept: Tensor | None = None
    """Boolean, broadcast to the weight's shape; None keeps all."""

    def of(self, weight: Tensor) -> Tensor:
        """Return the mixture with ``weight``, whose gradient passes to ``weight`` unchanged."""
        if self.base.device != weight.device or self.base.dtype != weight.dtype:
            # The model was moved or cast.
            self.base = self.base.to(weight.device, weight.dtype)
            self.kept = None if self.kept is None else self.kept.to(weight.device)
        return cast(Tensor, _StraightThrough.apply(weight, self.base, self.share, self.kept))  # type: ignore[no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, base: Tensor, share: float, kept: Tensor | None) -> Tensor:
        if kept is None:
            return torch.lerp(base, weight, share)
        # A view as bytes converts several times faster than booleans do.
        return torch.lerp(base, weight, kept.view(torch.uint8).to(weight.dtype).mul_(share))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None, None, None


class MixedLinear(nn.Linear):
    """``nn.Linear`` that computes with a mixture in training."""

    mixture: Mixture

    def forward(self, input: Tensor) -> Tensor:
        """Return the layer's output."""
        return F.linear(input, self.mixture.of(self.weight) if self.training else self.weight, self.bias)


def _conv1d_forward(self: Any, x: Tensor) -> Tensor:
    weight: Tensor = self.mixture.of(self.weight) if self.training else self.weight
    return torch.addmm(self.bias, x.flatten(0, -2), weight).view(*x.shape[:-1], weight.shape[-1])


def check_mixable(chosen: Iterable[Matrix], method: str) -> None:
    """Raise ``HoldfastError``, naming ``method``, for layers that are neither ``nn.Linear`` nor ``Conv1D``."""
    for matrix in chosen:
        for module in matrix.modules:
            if hasattr(module, "mixture"):
                raise HoldfastError(
                    f"{method}: another engine or trainer still replaces {matrix.name} in the forward: "
                    "call its finish() first, or give this one a model of its own"
                )
            if type(module) is not nn.Linear and type(module).__name__ != "Conv1D":
                raise HoldfastError(
                    f"{method} replaces weights in the forward of nn.Linear, and {matrix.name} belongs to a "
                    f"{type(module).__name__}, which computes in its own way: choose another method or model"
                )


def mix(matrix: Matrix, mixture: Mixture) -> None:
    """Let the layers of ``matrix`` compute with ``mixture`` in training, in place.

    Parameters, their names and the state dict stay as they are, and evaluation is untouched.
    """
    for module in matrix.modules:
        module.__class__ = MixedLinear if type(module) is nn.Linear else _mixed_conv1d(cast(Any, type(module)))
        module.mixture = mixture  # type: ignore[assignment]


def unmix(chosen: Sequence[Matrix]) -> None:
    """Leave the layers of ``chosen`` as they were."""
    for matrix in chosen:
        for module in matrix.modules:
            module.__class__ = type(module).__mro__[1]
            del module.mixture


@functools.cache
def _mixed_conv1d(kind: Any) -> Any:
    # Made from the class that is met, since this room imports no Transformers.
    return type("MixedConv1D", (kind,), {"forward": _conv1d_forward})

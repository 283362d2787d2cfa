"""Gradients taken before the backward pass, given to the weights in it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from holdfast.errors import HoldfastError
from holdfast.methods.parts.noise.ascent import LIFT, slopes


class LossSum:
    """A weighted sum of losses whose graphs are freed one by one: its value, and its gradient by ``parameters``.

    ``method``: whom an error names.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], method: str) -> None:
        self._parameters = parameters
        self._method = method
        self._gradients: list[Tensor | None] = [None] * len(parameters)
        """Those of the sum so far, times LIFT."""
        self._value: Tensor | None = None

    def add(self, loss: Tensor, weight: float, also: Tensor) -> Tensor | None:
        """Add ``weight`` * ``loss``, a scalar, free its graph and return the gradient of ``loss`` by ``also``.

        None where ``loss`` does not depend on it.
        """
        loss = loss.float()
        gradients = slopes(loss * (weight * LIFT), [also, *self._parameters], self._method)
        slope = gradients.pop(0)
        for index in reversed(range(len(gradients))):
            # One at a time, so that there are never three sets of gradients; not in place, as two may be one tensor.
            new, old = gradients.pop(), self._gradients[index]
            if new is not None:
                self._gradients[index] = new if old is None else old + new
        part = loss.detach() * weight
        self._value = part if self._value is None else self._value + part
        return None if slope is None else slope / (weight * LIFT)

    def term(self) -> Tensor:
        """Return the sum, a scalar to be differentiated once; call it once, as it hands the gradients over."""
        assert self._value is not None
        pairs = [(p, g) for p, g in zip(self._parameters, self._gradients, strict=True) if g is not None]
        self._gradients = []
        total: Tensor = _Injected.apply(  # type: ignore[no-untyped-call]
            self._value, [g for _, g in pairs], *(p for p, _ in pairs)
        )
        return total


class _Injected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        if gradients is None:
            raise HoldfastError("a loss with freelb can be differentiated once only: compute it anew")
        given = []
        while gradients:
            gradient = gradients.pop()
            given.append(gradient * (upstream / LIFT).to(gradient.dtype))
        return None, None, *reversed(given)

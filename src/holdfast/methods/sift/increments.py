"""Few entries of a weight, trained as a vector of their own that is added to the weight after each step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from holdfast.methods.parts.top_k import top_k_masks


class Increment:
    """The trained entries of one weight: the ``count`` with the largest first gradient.

    Registers the trained vector as a parameter of ``module``, beside its attribute ``attribute``, so that
    optimizers and clipping see it. ``absolute``: between steps it holds the entries themselves, which weight
    decay then shrinks, and not 0. With ``hooked`` the weight's gradient lives only until it is complete in the
    backward pass; without, until ``gather``.
    """

    def __init__(self, module: nn.Module, attribute: str, count: int, absolute: bool, hooked: bool) -> None:
        self.module = module
        self.attribute = attribute
        self.count = count
        self.absolute = absolute
        self.chosen: Tensor | None = None
        """(count,) places in the flattened weight, int32 where they fit."""
        self.vector = nn.Parameter(torch.zeros(count, dtype=self.weight.dtype, device=self.weight.device))
        module.register_parameter(self.own_attribute, self.vector)
        self._handle: RemovableHandle | None = None
        if hooked:
            self._handle = self.weight.register_post_accumulate_grad_hook(lambda _: self._move())  # type: ignore[no-untyped-call]

    @property
    def weight(self) -> nn.Parameter:
        """The whole weight."""
        found: nn.Parameter = getattr(self.module, self.attribute)
        return found

    @property
    def own_attribute(self) -> str:
        """Attribute of the module that holds the vector."""
        return f"{self.attribute}_increment"

    @torch.no_grad()
    def gather(self) -> None:
        """Choose entries by the weight's first whole gradient; hand their gradient to the vector."""
        if self.weight.grad is None:
            return
        if self.chosen is None:
            (mask,) = top_k_masks([self.weight.grad.abs()], self.count)
            places = mask.flatten().nonzero().flatten()
            self.choose(places.to(torch.int32 if mask.numel() < 2**31 else torch.int64))
        self._move()

    @torch.no_grad()
    def choose(self, places: Tensor) -> None:
        """Train the entries at ``places``, (count,), from the weight's present values."""
        self.chosen = places
        if self.absolute:
            self.vector.copy_(self.weight.take(self._places()))

    @torch.no_grad()
    def merge(self) -> None:
        """Bring the vector's step into the weight."""
        if self.chosen is None:
            return
        places = self._places()
        values: Tensor = self.vector
        if not self.absolute:
            values = self.weight.take(places).add_(self.vector)
            self.vector.zero_()
        self.weight.view(-1).index_copy_(0, places, values)

    def remove(self) -> None:
        """Leave the module as it was."""
        delattr(self.module, self.own_attribute)
        if self._handle is not None:
            self._handle.remove()

    @torch.no_grad()
    def _move(self) -> None:
        # Before the choice the whole gradient is needed, of all micro-batches together.
        if self.chosen is None or self.weight.grad is None:
            return
        picked = self.weight.grad.take(self._places())
        self.vector.grad = picked if self.vector.grad is None else self.vector.grad.add_(picked)
        self.weight.grad = None

    def _places(self) -> Tensor:
        assert self.chosen is not None
        self.chosen = self.chosen.to(self.weight.device)
        return self.chosen.long()

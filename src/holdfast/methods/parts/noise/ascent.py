"""A perturbation of the input embeddings that is looked for with the model's own gradient."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from holdfast.errors import HoldfastError

LIFT = 256.0
"""Factor of what is differentiated, taken out of the gradient again: small ones would vanish in half precision.
A power of two, so that it changes nothing elsewhere."""


class Delta:
    """A perturbation, (rows, tokens, width), at least in float32; ``start`` makes it of the first embeddings seen."""

    def __init__(self, start: Callable[[Tensor], Tensor]) -> None:
        self._start = start
        self._value: Tensor | None = None

    @property
    def value(self) -> Tensor:
        """The perturbation; with gradient once it was added to embeddings."""
        assert self._value is not None
        return self._value

    def move(self, value: Tensor) -> None:
        """Take another value."""
        self._value = value.detach().requires_grad_()

    def added(self, embeddings: Tensor) -> Tensor:
        """Return perturbed embeddings in their own precision; gradient reaches both."""
        if self._value is None:
            self.move(self._start(embeddings.detach()))
        return (embeddings + self.value).to(embeddings.dtype)

    def added_alone(self, embeddings: Tensor) -> Tensor:
        """As ``added``; gradient reaches the perturbation alone."""
        return self.added(embeddings.detach())

    def added_fixed(self, embeddings: Tensor) -> Tensor:
        """As ``added``; gradient reaches the embeddings alone."""
        if self._value is None:
            self.move(self._start(embeddings.detach()))
        return (embeddings + self.value.detach()).to(embeddings.dtype)


def precise(embeddings: Tensor) -> torch.dtype:
    """Return the precision of perturbations of ``embeddings``."""
    return torch.promote_types(embeddings.dtype, torch.float32)


def over_rows(row: Tensor, like: Tensor) -> Tensor:
    """Return ``row``, a number for each row of the batch, to be multiplied with ``like``.

    ``like`` may have several rows a row of the batch, as multiple choice has one a choice.
    """
    return row.repeat_interleave(len(like) // len(row)).view(-1, *[1] * (like.ndim - 1))


def slopes(of: Tensor, by: Sequence[Tensor], method: str, upstream: Tensor | None = None) -> list[Tensor | None]:
    """Return the gradient of ``of``, times ``upstream``, by each of ``by``; None for those it does not depend on.

    Raises ``HoldfastError``, naming ``method``, under activation checkpointing of the kind that cannot give it.
    """
    try:
        return list(torch.autograd.grad(of, by, upstream, allow_unused=True))
    except RuntimeError as error:
        if "use_reentrant" not in str(error):
            raise
        raise HoldfastError(
            f"{method} takes gradients before the backward pass, which reentrant activation checkpointing cannot "
            'give: set gradient_checkpointing_kwargs={"use_reentrant": False}'
        ) from None


def reached(slope: Tensor | None, method: str) -> Tensor:
    """Return the gradient by a perturbation; raises ``HoldfastError``, naming ``method``, where there is none."""
    if slope is None:
        raise HoldfastError(
            f"{method} follows the gradient down to the input embeddings, and something ends it on its way, as "
            "top_k_layers does: use one of them, or run the lower layers with gradient"
        )
    return slope

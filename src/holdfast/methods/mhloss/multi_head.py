"""A linear layer that stands for several heads: it computes their average."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class MultiHeadLinear(nn.Linear):
    """``nn.Linear`` whose weight and bias are the means over heads; made from an existing layer by ``multiply``.

    The layer's own parameters keep their names and identity and are the first head's. The others lie one below
    the other in ``further``, which is a linear layer so that methods that go by kind of module find them.
    """

    further: nn.Linear

    def stacked(self) -> tuple[Tensor, Tensor | None]:
        """Return the heads' weights, (heads, out, in), and biases, (heads, out), with gradient."""
        shape = -1, self.out_features
        weight = torch.cat([self.weight, self.further.weight]).view(*shape, self.in_features)
        return weight, None if self.bias is None else torch.cat([self.bias, self.further.bias]).view(shape)

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Return the weight and the bias of the one layer that computes the heads' average."""
        weight, bias = self.stacked()
        return _mean(weight), None if bias is None else _mean(bias)

    def forward(self, input: Tensor) -> Tensor:
        """Return the average of the heads' outputs."""
        return F.linear(input, *self.folded())

    def each(self, input: Tensor) -> Tensor:
        """Return every head's outputs for ``input``, (rows, ..., in): (heads * rows, ..., out), head after head."""
        weight, bias = self.stacked()
        wide = F.linear(input.to(weight.dtype), weight.flatten(0, 1), None if bias is None else bias.flatten())
        return wide.view(*wide.shape[:-1], *weight.shape[:2]).movedim(-2, 0).flatten(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # A plain checkpoint: heads that all are the one it holds compute its function.
        for key in ("weight", "bias"):
            own, missing = f"{prefix}{key}", f"{prefix}further.{key}"
            if own in state_dict and missing not in state_dict:
                plain = state_dict[own]
                copies = self.further.out_features // self.out_features
                state_dict[missing] = torch.cat([plain] * copies)
        super()._load_from_state_dict(state_dict, prefix, *rest)


@torch.no_grad()
def multiply(layer: nn.Linear, others: Sequence[nn.Linear]) -> MultiHeadLinear:
    """Turn ``layer`` in place into the average of itself and ``others``, layers of its size, at least one."""
    layer.__class__ = MultiHeadLinear
    several = cast(MultiHeadLinear, layer)
    rows = len(others) * layer.out_features
    # Without memory, so that its own initialisation draws nothing from the global generator.
    further = nn.Linear(layer.in_features, rows, layer.bias is not None, "meta")
    for key, parameter in layer.named_parameters():
        drawn = torch.cat([other.get_parameter(key) for other in others]).to(parameter)
        setattr(further, key, nn.Parameter(drawn, parameter.requires_grad))
    several.further = further.train(layer.training)
    return several


@torch.no_grad()
def fold(layer: MultiHeadLinear) -> nn.Linear:
    """Turn ``layer`` back into a plain ``nn.Linear`` of the same function, in place."""
    weight, bias = layer.folded()
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)
    del layer.further
    layer.__class__ = nn.Linear  # type: ignore[assignment]
    return layer


def _mean(heads: Tensor) -> Tensor:
    # In float32, as a plain model of half precision is to hold the nearest value.
    return heads.mean(0, dtype=torch.promote_types(heads.dtype, torch.float32)).to(heads.dtype)

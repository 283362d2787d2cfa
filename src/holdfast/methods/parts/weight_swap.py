"""Other values in the place of a model's weights, for a while."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def swapped(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block ``parameters`` have ``values``, by name; afterwards, bit for bit, what they had before."""
    own = {name: parameters[name].detach().clone() for name in values}
    put(parameters, values)
    try:
        yield
    finally:
        put(parameters, own)


@torch.no_grad()
def put(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Write ``values`` into ``parameters`` in place, whatever their type and device."""
    # In place, as optimizers, wrappers and compiled models hold on to the tensors.
    for name, value in values.items():
        parameters[name].copy_(value)
    # Within autocast the half-precision copies of the old values would be used again.
    torch.clear_autocast_cache()

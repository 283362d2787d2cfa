"""A model's modes, training or evaluation, module by module: what the user froze in evaluation mode stays there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@contextmanager
def same_modes(model: "nn.Module") -> Iterator[None]:
    """Put every module of ``model`` back into the mode, training or evaluation, in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def evaluating(model: "nn.Module") -> Iterator[None]:
    """Keep ``model`` in evaluation mode for the block, so that every pass computes the same function."""
    with same_modes(model):
        model.eval()
        yield

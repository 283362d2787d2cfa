"""Ending the backward pass at a place of the model, also where the embeddings' output was made to need gradients.

Transformers does that to every model it checkpoints, and all frozen layers would be recomputed for nothing.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


def cut_before(module: nn.Module) -> RemovableHandle:
    """Let no gradient pass ``module``'s inputs; call ``remove()`` of what is returned to undo it.

    The inputs go on needing a gradient where they did, since reentrant checkpointing of ``module`` asks for it.
    """
    return module.register_forward_pre_hook(
        lambda _, args, kwargs: (
            _mapped(args, lambda tensor: tensor.detach().requires_grad_()),
            _mapped(kwargs, lambda tensor: tensor.detach().requires_grad_()),
        ),
        with_kwargs=True,
    )


def cut_after(module: nn.Module) -> RemovableHandle:
    """Let no gradient pass ``module``'s outputs; call ``remove()`` of what is returned to undo it."""
    return module.register_forward_hook(lambda _, args, output: _mapped(output, Tensor.detach))


def _mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return ``value`` with ``change`` made to each tensor in it that needs a gradient."""
    if isinstance(value, Tensor):
        return change(value) if value.requires_grad else value
    if type(value) in (tuple, list):
        return type(value)(_mapped(item, change) for item in value)
    if type(value) is dict:
        return {key: _mapped(item, change) for key, item in value.items()}
    return value

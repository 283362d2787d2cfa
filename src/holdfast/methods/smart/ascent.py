"""One step of the ascent to the worst perturbation, as in the paper and as in the published code."""

import torch
from torch import Tensor


@torch.no_grad()
def ascend(delta: Tensor, gradient: Tensor, step_size: float, radius: float) -> Tensor:
    """Return the projection onto |.|_inf <= radius of delta + step_size * g / |g|_inf, the norm over each sequence.

    ``delta``, ``gradient``: (sequences, tokens, width). A sequence whose gradient is 0 is projected only.
    Jiang et al. 2020, the update of the inner maximisation.
    """
    norm = gradient.abs().flatten(1).amax(1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return (delta + step_size * gradient / norm.view(-1, 1, 1)).clamp_(-radius, radius)


@torch.no_grad()
def ascend_published(delta: Tensor, gradient: Tensor, step_size: float) -> Tensor:
    """Return delta + step_size * g with each token's vector divided by its largest entry, as in the published code."""
    moved = delta + step_size * gradient
    return moved / (moved.abs().amax(-1, keepdim=True) + 1e-6)

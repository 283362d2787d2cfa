"""One step of the ascent to the worst perturbation."""

import torch
from torch import Tensor


@torch.no_grad()
def ascend(delta: Tensor, gradient: Tensor, step_size: float, radius: float) -> Tensor:
    """Return delta + step_size * g / |g|_2, shortened to |.|_2 <= radius where radius is above 0.

    ``delta``, ``gradient``: (sequences, tokens, width); norms are over each sequence. Zhu et al. 2020, and the
    published code, of which the least norm, 1e-8, that g is divided by.
    """
    norm = _length(gradient).clamp_min(1e-8)
    moved = delta + step_size * gradient / norm
    return moved * (radius / _length(moved).clamp_min(radius)) if radius > 0 else moved


def _length(tensor: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
    return length

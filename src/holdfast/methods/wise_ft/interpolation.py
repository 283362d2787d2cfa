"""Weights between two others."""

import torch
from torch import Tensor


def interpolate(start: Tensor, end: Tensor, share: float) -> Tensor:
    """Return (1 - share) * start + share * end, exact at both ends, in the type and on the device of ``end``."""
    precise = torch.promote_types(end.dtype, torch.float32)
    return torch.lerp(start.to(end.device, precise), end.to(precise), share).to(end.dtype)

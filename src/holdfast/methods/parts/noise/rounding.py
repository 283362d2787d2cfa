"""Noise too small for the numbers it is added to."""

import logging

import torch
from torch import Tensor, nn

from holdfast.methods.parts.model.embeddings import embedding_scale, input_embedding

logger = logging.getLogger(__name__)

_HALF = (torch.float16, torch.bfloat16)


def warn_of_lost_noise(model: nn.Module, sigma: float, method: str) -> None:
    """Warn, naming ``method``, where noise of size ``sigma`` rounds away in hidden vectors with entries about one.

    That is in models with weights in half precision; under autocast hidden vectors stay in float32.
    """
    dtype = next((p.dtype for p in model.parameters() if p.dtype in _HALF), None)
    if dtype is not None:
        _warn(dtype, 1.0, sigma, method, "hidden vectors with entries about 1", "a larger sigma")


def warn_of_lost_embedding_noise(model: nn.Module, size: float, method: str, remedy: str) -> None:
    """Warn, naming ``method``, where noise of ``size`` rounds away in the input embeddings; ``remedy``: what to use."""
    module = input_embedding(model)
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dtype in _HALF:
        _warn(weight.dtype, embedding_scale(module), size, method, "embeddings", remedy)


def _warn(dtype: torch.dtype, scale: float, size: float, method: str, where: str, remedy: str) -> None:
    # Adding less than half a unit in the last place changes nothing.
    lost = torch.finfo(dtype).eps * scale / 2
    if 0 < size < lost:
        logger.warning(
            "%s: noise of %.1e rounds away in %s %s (about %.0e is lost); keep the weights in float32 or use %s",
            method,
            size,
            str(dtype).removeprefix("torch."),
            where,
            lost,
            remedy,
        )

"""Noise on hidden vectors."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class EmbeddingNoise:
    """Adds noise to embeddings. Two equal ones may share a view.

    ``sigma`` is the half-width of the uniform, the standard deviation of the normal distribution. Noise is
    drawn on the embeddings' device from the global generator (so a recomputed forward repeats it) and added in
    float32. Padding gets noise too: attention masks it, so it has no effect.
    """

    sigma: float
    distribution: Literal["uniform", "normal"]
    detach: bool = False
    """Cut the gradient from this copy to the embedding table, as the published classification code does."""

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Return (rows, tokens, width) embeddings with noise, in their own precision."""
        clean = embeddings.detach() if self.detach else embeddings
        if self.sigma == 0.0:
            return clean
        if self.distribution == "uniform":
            noise = (torch.rand_like(clean, dtype=torch.float32) * 2 - 1) * self.sigma
        else:
            noise = torch.randn_like(clean, dtype=torch.float32) * self.sigma
        return (clean.float() + noise).to(embeddings.dtype)

"""The input embedding of a model: where it is, how large its entries are, and noise on it."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError


def input_embedding(model: nn.Module) -> nn.Module:
    """Return the module that embeds the input tokens; the encoder's own in an encoder-decoder model.

    In T5 and BART the model-level embedding never runs, each stack calls its own.

    Raises ``HoldfastError`` when the model does not say which module that is.
    """
    encoder: Any = getattr(model, "get_encoder", lambda: None)()
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        module = _declared(encoder)
    else:
        module = _declared(model)
        inner = _declared(encoder)
        # Token classifiers of T5 are encoders alone, whose stack calls a table of its own, of the same weights.
        if inner is not None and getattr(inner, "weight", None) is getattr(module, "weight", inner):
            module = inner
    if not isinstance(module, nn.Module):
        raise HoldfastError(
            f"{type(model).__name__} does not say which module embeds its input: "
            "define get_input_embeddings() on it, returning that module"
        )
    return module


def _declared(owner: Any) -> Any:
    find = getattr(owner, "get_input_embeddings", None)
    try:
        return find() if callable(find) else None
    except NotImplementedError:
        return None


@torch.no_grad()
def embedding_scale(module: nn.Module, sample: int = 8192) -> float:
    """Return the root mean square of the entries the embedding gives out, over evenly spaced token ids.

    Measured on outputs because some embeddings (BART, Gemma) scale their table on the way out.
    """
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        raise HoldfastError(
            f"{type(module).__name__} has no weight table: relative noise needs one, use relative=False"
        )
    ids = torch.linspace(0, weight.shape[0] - 1, min(sample, weight.shape[0]), device=weight.device).long()
    return float(module(ids[None]).float().square().mean().sqrt())


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

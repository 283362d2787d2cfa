"""The input embedding of a model: where it is, and how large its entries are."""

from typing import Any

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

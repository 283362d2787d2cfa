"""How far tuning moved the weights of each layer."""

import logging
import math
from typing import Any

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.measures.weights import weight_distance
from holdfast.methods.parts.model.layers import Stack, above_stack, body_of, is_encoder_decoder, layer_stacks

logger = logging.getLogger(__name__)


def layer_drift(model: nn.Module, start: nn.Module) -> list[float | None] | None:
    """Return the Euclidean distance of the weights behind each hidden layer of ``model`` from those of ``start``.

    Aligned with ``layer_states``: first the embeddings and all else of the body that is in no block (relative
    positions, say), then block after block; of encoder-decoders first the encoder's, then the same of the decoder.
    What follows the last block, a final normalisation or a pooler, counts with that block. A weight with several
    names counts once, where it is defined first: embeddings that encoder and decoder share with the encoder's. So
    the squares add up to that of the distance of the bodies, but for ALBERT, whose layers share their blocks: each
    layer gets the distance of the one that it runs. The head is left out.

    None for a layer whose weights are not finite. Returns None, with a line in the log, where there are no blocks or
    the two models differ in structure.
    """
    try:
        moved, initial = _by_layer(model), _by_layer(start)
        if len(moved) != len(initial):
            raise HoldfastError(f"one has {len(moved)} hidden layers and the other {len(initial)}")
        gaps = [weight_distance(one, other) for one, other in zip(moved, initial, strict=True)]
    except HoldfastError as error:
        logger.warning("the distances from the pre-trained layers are not kept: %s", error)
        return None
    return [gap if math.isfinite(gap) else None for gap in gaps]


def _by_layer(model: nn.Module) -> list[dict[str, Tensor]]:
    """Return the body's weights by name, one dictionary a hidden layer."""
    stacks = layer_stacks(model, "the distance of layers")
    if len(stacks) != (2 if is_encoder_decoder(model) else 1):
        raise HoldfastError(f"{type(model).__name__} has {len(stacks)} stacks of blocks, whose order cannot be told")
    inside = {id(weight) for weight in body_of(model).parameters()}
    layers: list[dict[str, Tensor]] = []
    owner: dict[int, int] = {}
    for stack in stacks:
        bottom = len(layers)
        layers += [{} for _ in range(1 + len(stack))]
        for at, (_, block) in enumerate(stack, bottom + 1):
            _claim(owner, block, at)
        for module in above_stack(model, stack):
            _claim(owner, module, bottom + len(stack))
    decoder = _decoder_name(stacks) if len(stacks) == 2 else None
    for name, weight in model.named_parameters():
        if id(weight) in inside:
            in_decoder = decoder is not None and name.startswith(decoder)
            layers[owner.get(id(weight), 1 + len(stacks[0]) if in_decoder else 0)][name] = weight
    return _repeated(layers, model)


def _claim(owner: dict[int, int], module: nn.Module, layer: int) -> None:
    for weight in module.parameters():
        owner.setdefault(id(weight), layer)


def _decoder_name(stacks: list[Stack]) -> str:
    """Return the name, with a dot, of the outermost module around the decoder's blocks but not the encoder's."""
    encoder, decoder = (stack[0][0].split(".") for stack in stacks)
    shared = next(at for at, (one, other) in enumerate(zip(encoder, decoder, strict=False)) if one != other)
    return ".".join(decoder[: shared + 1]) + "."


def _repeated(layers: list[dict[str, Tensor]], model: nn.Module) -> list[dict[str, Tensor]]:
    config: Any = getattr(model, "config", None)
    if not hasattr(config, "num_hidden_groups"):
        return layers
    embeddings, *groups = layers
    count = int(config.num_hidden_layers)
    return [embeddings, *(groups[layer * len(groups) // count] for layer in range(count))]

"""What every layer of a tuned model makes of the same rows, kept beside its predictions.

Measures of how much representations differ between runs (Du & Nguyen 2023) read these files.
"""

import inspect
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.training.features import FeatureHook, last_token

logger = logging.getLogger(__name__)

ROWS = 512
"""Rows kept: similarity of representations settles with some hundreds, and a file stays at some megabytes."""


def spread_rows(rows: int, limit: int = ROWS) -> list[int]:
    """Return at most ``limit`` of the indices 0 to ``rows`` - 1, evenly spaced.

    They depend on nothing else, since representations can only be compared on the same rows; and files are often
    sorted, by class or by source, so the first ones would not do.
    """
    return [index * rows // limit for index in range(limit)] if rows > limit else list(range(rows))


def layer_states(model: nn.Module, batches: Iterable[Mapping[str, Any]]) -> NDArray[np.float32] | None:
    """Return (layers, rows, width): each layer's hidden states, where the classification head reads the last one.

    That is the first token for encoders, and the last real token, whichever side is padded, for decoders whose head
    reads every token. Encoder-decoders read the end token: first come the encoder's layers at its place in the
    text, then the decoder's. Embeddings count as a layer, of each stack the first. The model runs without dropout
    and is left as it was.

    ``batches``: the model's keyword arguments on its device; labels are not used. Returns None, with a line in the
    log, for models without hidden states and for layers that differ in width or, but for encoders, in length.
    """
    kind = type(model).__name__
    takes = inspect.signature(model.forward).parameters.values()
    if not any(one.name == "output_hidden_states" or one.kind is one.VAR_KEYWORD for one in takes):
        logger.warning("%s cannot return hidden states: no representations are kept", kind)
        return None
    # A part that the user froze in evaluation mode must stay there.
    training = [module for module in model.modules() if module.training]
    model.eval()
    parts: list[Tensor] = []
    per_token: bool | None = None
    try:
        with torch.no_grad():
            for batch in batches:
                inputs = {name: value for name, value in batch.items() if name != "labels"}
                if per_token is None:
                    per_token = _reads_every_token(model, inputs)
                outputs = model(**inputs, output_hidden_states=True)
                states = _states(model, outputs, inputs, per_token)
                if states is None:
                    logger.warning("the hidden states of %s cannot be lined up: no representations are kept", kind)
                    return None
                parts.append(states.float())
    finally:
        for module in training:
            module.training = True
    return torch.cat(parts, dim=1).numpy() if parts else None


def write_states(path: Path, states: NDArray[np.float32], ids: list[str]) -> None:
    """Write ``states`` (layers, rows, width), float16, ``scales`` (layers,), float32, and ``ids`` of the rows.

    Each layer is divided by its scale, its largest absolute value, since massive activations would overflow
    float16, and measures of similarity do not depend on scale. A layer that is not finite stays so.
    """
    scales = np.abs(states).max(axis=(1, 2))
    scales = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0).astype(np.float32)
    with np.errstate(over="ignore"):
        scaled = (states / scales[:, None, None]).astype(np.float16)
    np.savez(path, states=scaled, scales=scales, ids=np.asarray(ids))


def _states(model: nn.Module, outputs: Any, inputs: Mapping[str, Any], per_token: bool) -> Tensor | None:
    """Return (layers, rows, width) of one batch, on the CPU; None where the layers do not fit each other."""
    if getattr(outputs, "encoder_hidden_states", None) and getattr(outputs, "decoder_hidden_states", None):
        layers = [*outputs.encoder_hidden_states, *outputs.decoder_hidden_states]
        is_end = inputs["input_ids"] == model.config.eos_token_id  # type: ignore[union-attr]
        at = (torch.arange(is_end.shape[1], device=is_end.device) * is_end).argmax(-1)
    elif getattr(outputs, "hidden_states", None):
        layers = list(outputs.hidden_states)
        at = torch.as_tensor(last_token(model, inputs, layers[-1].device) if per_token else 0)
    else:
        return None
    if any(layer.ndim != 3 for layer in layers) or len({layer.shape[2] for layer in layers}) > 1:
        return None
    if len({layer.shape[1] for layer in layers}) > 1 and bool(at.any()):
        return None
    rows = torch.arange(len(layers[0]))
    # One by one, since the layers of a model spread over devices are not on one.
    return torch.stack([layer[rows.to(layer.device), at.to(layer.device)].cpu() for layer in layers])


def _reads_every_token(model: nn.Module, inputs: Mapping[str, Any]) -> bool:
    """Return whether the head is applied to all tokens, of which one is then kept, as decoder classifiers do."""
    try:
        hook = FeatureHook(model, "representations")
    except HoldfastError:
        # Decoder classifiers have a linear layer for a head.
        return False
    try:
        with hook.listen():
            model(**{name: value[:1] for name, value in inputs.items()})
        return hook.heard is not None and hook.heard[0].ndim == 3
    finally:
        hook.remove()

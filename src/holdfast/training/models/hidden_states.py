"""What every layer of a tuned model makes of the same rows, kept beside its predictions.

Measures of how much representations differ between runs (Du & Nguyen 2023) read these files.
"""

import inspect
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.padding import real_tokens
from holdfast.modes import evaluating
from holdfast.training.forward.feature_hook import FeatureHook, last_token

logger = logging.getLogger(__name__)

ROWS = 512
"""Rows kept: similarity of representations settles with some hundreds, and a file stays at some megabytes."""


Pooling = Literal["auto", "cls", "mean", "last"]
Place = Literal["first", "final", "cls", "last", "head", "end", "mean"]
"""Where a layer is read: ``first`` and ``final`` are the batch's first and last place, ``cls`` the row's first real
token, ``head`` and ``end`` where the heads of decoders and of encoder-decoders read."""


class NoStatesError(HoldfastError):
    """A model whose hidden states cannot be read."""


def spread_rows(rows: int, limit: int = ROWS) -> list[int]:
    """Return at most ``limit`` of the indices 0 to ``rows`` - 1, evenly spaced.

    They depend on nothing else, since representations can only be compared on the same rows; and files are often
    sorted, by class or by source, so the first ones would not do.
    """
    return [index * rows // limit for index in range(limit)] if rows > limit else list(range(rows))


def layer_states(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], pooling: Pooling = "auto"
) -> NDArray[np.float32] | None:
    """Return (layers, rows, width): each layer's hidden states, by default where the head reads the last one.

    See ``pooled_states``, of which this is all that it gives, for ``pooling`` and ``batches``. Returns None,
    with a line in the log, for models without hidden states and for layers that differ in width or, but for those
    read at the first token, in length.
    """
    parts: list[Tensor] = []
    try:
        for states in pooled_states(model, batches, pooling):
            if len({layer.shape[1] for layer in states}) > 1:
                raise NoStatesError(_cannot_line_up(model))
            parts.append(torch.stack(states))
    except NoStatesError as reason:
        logger.warning("%s: no representations are kept", reason)
        return None
    return torch.cat(parts, dim=1).numpy() if parts else None


def pooled_states(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], pooling: Pooling = "auto"
) -> Iterator[list[Tensor]]:
    """Give for each batch its layers' hidden states, pooled over tokens: (rows, width) each, float32, on the CPU.

    Embeddings count as a layer, of each stack the first; of encoder-decoders come the encoder's layers, then the
    decoder's. The model runs without dropout and is left as it was once the batches are used up or the generator is
    closed. ``batches``: the model's keyword arguments on its device; labels are not used.

    ``pooling``: ``auto`` takes what the model's own head reads: the first token for encoders, the mean for those
    whose configuration says so (``classifier_pooling`` of ModernBERT and EuroBERT), the last place for XLNet, the last
    real token, whichever side is padded, for decoders, whose head reads every token, and the end token for
    encoder-decoders. ``mean`` is over the real tokens and ``last`` the last of them, ``cls`` the first, by the
    attention mask. Raises ``HoldfastError`` for ``cls`` on models without such a token, and ``NoStatesError`` for
    models without hidden states and for layers of different lengths, unless they are read at the first or last place.
    """
    if not gives_hidden_states(model):
        raise NoStatesError(f"{type(model).__name__} cannot return hidden states")
    read: Place | None = None
    with evaluating(model):
        for batch in batches:
            inputs = {name: value for name, value in batch.items() if name != "labels"}
            # Not around the yield: whoever takes the states may want gradients of their own.
            with torch.no_grad():
                read = read or place_of(model, inputs, pooling)
                # Nothing of the batch but its pooled states is kept while the next one runs.
                states = _states(model, inputs, read)
            yield states


def gives_hidden_states(model: nn.Module) -> bool:
    """Return whether ``model`` can be asked for its hidden states."""
    takes = inspect.signature(model.forward).parameters.values()
    return any(one.name == "output_hidden_states" or one.kind is one.VAR_KEYWORD for one in takes)


def write_states(path: Path, states: NDArray[np.float32], ids: list[str]) -> None:
    """Write ``states`` (layers, rows, width), float16, ``scales`` (layers,), float32, and ``ids`` of the rows.

    Each layer is divided by its scale, its largest absolute value, since massive activations would overflow
    float16, and measures of similarity do not depend on scale. A layer that is not finite stays so.
    """
    scaled, scales = _scaled(states)
    np.savez(path, states=scaled, scales=scales, ids=np.asarray(ids))


def as_written(states: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return ``states`` as ``write_states`` keeps them."""
    return _scaled(states)[0]


def _scaled(states: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    scales = np.abs(states).max(axis=(1, 2))
    scales = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0).astype(np.float32)
    with np.errstate(over="ignore"):
        return (states / scales[:, None, None]).astype(np.float16), scales


def place_of(model: nn.Module, inputs: Mapping[str, Any], pooling: Pooling) -> Place:
    """Return where ``pooling`` is in this model."""
    is_pair = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
    if pooling in ("mean", "last"):
        return pooling
    if pooling == "auto":
        if is_pair:
            return "end"
        # EuroBERT's "late" is the mean over tokens of what the head makes of each.
        if getattr(getattr(model, "config", None), "classifier_pooling", None) in ("mean", "late"):
            return "mean"
        if _summarises_last(model):
            return "final"
    if is_pair or _reads_every_token(model, inputs):
        if pooling == "auto":
            return "head"
        raise HoldfastError(
            f"pooling cls: {type(model).__name__} has no classification token; use auto, which is what its head reads, "
            "or mean or last"
        )
    return "first" if pooling == "auto" else "cls"


def _states(model: nn.Module, inputs: Mapping[str, Any], read: Place) -> list[Tensor]:
    outputs = model(**inputs, output_hidden_states=True)
    return [layer.float().cpu() for layer in pooled_layers(model, outputs, inputs, read)]


def pooled_layers(model: nn.Module, outputs: Any, inputs: Mapping[str, Any], read: Place) -> list[Tensor]:
    """Return each layer of ``outputs`` at ``read``, (rows, width). Raises ``NoStatesError`` where there are none."""
    return _pool(model, _hidden_layers(model, outputs), inputs, read)


def _hidden_layers(model: nn.Module, outputs: Any) -> list[Tensor]:
    if getattr(outputs, "encoder_hidden_states", None) and getattr(outputs, "decoder_hidden_states", None):
        layers = [*outputs.encoder_hidden_states, *outputs.decoder_hidden_states]
    else:
        layers = list(getattr(outputs, "hidden_states", None) or ())
    if not layers or any(layer.ndim != 3 for layer in layers):
        raise NoStatesError(_cannot_line_up(model))
    return layers


def _pool(model: nn.Module, layers: list[Tensor], inputs: Mapping[str, Any], read: Place) -> list[Tensor]:
    """Return each layer at ``read``, (rows, width), where it is."""
    if read in ("first", "final"):
        return [layer[:, 0 if read == "first" else -1] for layer in layers]
    if len({layer.shape[1] for layer in layers}) > 1:
        raise NoStatesError(_cannot_line_up(model))
    device = layers[-1].device
    if read == "mean":
        # In float32, since a sum over tokens may overflow float16.
        real = real_tokens(inputs, layers[-1], "pooling mean")
        share = (real / real.sum(1, keepdim=True))[:, None]
        return [(share.to(layer.device) @ layer.float())[:, 0] for layer in layers]
    if read == "end":
        marked = inputs["input_ids"] == model.config.eos_token_id  # type: ignore[union-attr]
        at = _last_of(marked.to(device))
    elif read == "head":
        at = torch.as_tensor(last_token(model, inputs, device))
    else:
        real = real_tokens(inputs, layers[-1], f"pooling {read}")
        at = _last_of(real) if read == "last" else real.argmax(-1)
    rows = torch.arange(len(layers[0]))
    # One by one, since the layers of a model spread over devices are not on one.
    return [layer[rows.to(layer.device), at.to(layer.device)] for layer in layers]


def _last_of(marked: Tensor) -> Tensor:
    return (torch.arange(marked.shape[1], device=marked.device) * marked).argmax(-1)


def _cannot_line_up(model: nn.Module) -> str:
    return f"the hidden states of {type(model).__name__} cannot be lined up"


def _summarises_last(model: nn.Module) -> bool:
    """Return whether the head takes the batch's last place, as XLNet's does, whose tokenizer pads on the left."""
    summary = getattr(model, "sequence_summary", None)
    return getattr(summary, "summary_type", None) == "last"


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

"""What the layers of a frozen model make of a task's rows, on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.task import Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from holdfast.training.models.hidden_states import Pooling

_WINDOW = 2048
"""Rows held as tokens at a time; they are sorted by length within it, on top of a sort of all by characters."""

OnRows = Callable[[int, int], None]
"""Told the rows done and their number."""


@dataclass(frozen=True)
class Features:
    """Features of the rows of a split, in its order."""

    files: dict[int, Path]
    """By layer, counted from 0, the embeddings: a ``.npy`` file of float32, (rows, width)."""
    count: int
    """Layers that the model has, the embeddings among them."""

    def layer(self, index: int) -> NDArray[np.float32]:
        """Return (rows, width) of a layer, mapped from disk; negative ones count from the last.

        Raises ``HoldfastError`` where it was not extracted.
        """
        import numpy as np

        (place,) = chosen_layers([index], self.count)
        if place not in self.files:
            raise HoldfastError(f"layer {place} was not extracted: there are {', '.join(map(str, self.files))}")
        held: NDArray[np.float32] = np.load(self.files[place], mmap_mode="r")
        return held


def extract_features(
    model: nn.Module,
    tokenizer: Any,
    split: Split,
    *,
    kind: Kind,
    layers: Sequence[int] | Literal["all"] = (-1,),
    pooling: Pooling = "auto",
    max_length: int = 128,
    batch_size: int = 64,
    folder: Path,
    on_rows: OnRows | None = None,
) -> Features:
    """Run ``model`` over ``split`` and write one file a layer into ``folder``.

    ``layers``: which of the hidden states, 0 the embeddings, negative ones counted from the last; ``pooling``: which
    tokens' (``holdfast.training.models.hidden_states.pooled_states``). Rows of about one length run together, without
    dropout, on the GPU where there is one; the model comes back as it was. Memory holds a batch's hidden states and
    some thousand rows' tokens, whatever the number of rows; labels are not used.

    Raises ``HoldfastError`` for a layer that does not exist, for a model whose states cannot be read, and for a row
    without tokens.
    """
    from holdfast.training.models.hidden_states import pooled_states

    if not len(split):
        raise HoldfastError("there are no rows to extract features of; give at least one")
    folder.mkdir(parents=True, exist_ok=True)
    order: list[list[int]] = []
    maps: dict[int, Any] = {}
    count = done = 0
    with _ready(model, tokenizer) as device:
        batches = _batches(split, tokenizer, kind, max_length, batch_size, device, order)
        for states in pooled_states(model, batches, pooling):
            if not maps:
                count = len(states)
                for layer in chosen_layers(layers, count):
                    maps[layer] = _create(_file(folder, layer), (len(split), states[layer].shape[1]))
            for layer, held in maps.items():
                held[order[-1]] = states[layer].numpy()
            done += len(order[-1])
            if on_rows is not None:
                on_rows(done, len(split))
    for held in maps.values():
        held.flush()
    return Features({layer: _file(folder, layer) for layer in maps}, count)


def chosen_layers(layers: Sequence[int] | Literal["all"], count: int) -> list[int]:
    """Return the layers meant, counted from 0, each once and in order; ``count`` is how many there are.

    Raises ``HoldfastError`` for one that does not exist.
    """
    if layers == "all":
        return list(range(count))
    for layer in layers:
        if not -count <= layer < count:
            raise HoldfastError(
                f"layer {layer} does not exist: the model has {count}, from 0, the embeddings, to {count - 1}; "
                "-1 is the last"
            )
    return sorted({layer % count for layer in layers})


def _file(folder: Path, layer: int) -> Path:
    return folder / f"layer-{layer}.npy"


def _create(file: Path, shape: tuple[int, int]) -> Any:
    """Return a new file of float32 in memory's place."""
    from numpy.lib.format import open_memmap

    held = open_memmap(file, "w+", "float32", shape)
    if hasattr(os, "posix_fallocate"):
        # A full disk is an error here; while writing to the map it would kill the process.
        with file.open("rb+") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return held


def _batches(
    split: Split, tokenizer: Any, kind: Kind, max_length: int, size: int, device: Any, order: list[list[int]]
) -> Iterator[dict[str, Any]]:
    """Give batches, longest first so that memory runs out at once if at all, and append their rows to ``order``."""
    from transformers import DataCollatorWithPadding

    from holdfast.tasks.encode import encode

    collate = DataCollatorWithPadding(tokenizer)
    pairs = split.pairs or [""] * len(split)
    by_characters = sorted(range(len(split)), key=lambda row: -len(split.texts[row]) - len(pairs[row]))
    for first in range(0, len(split), _WINDOW):
        window = by_characters[first : first + _WINDOW]
        encoded, _ = encode(split.take(window), tokenizer, max_length, kind)
        by_tokens = sorted(range(len(window)), key=lambda place: -len(encoded[place]["input_ids"]))
        for start in range(0, len(window), size):
            places = by_tokens[start : start + size]
            for place in places:
                if not encoded[place]["input_ids"]:
                    raise HoldfastError(f"row {split.ids[window[place]]}: it has no tokens; leave it out")
            order.append([window[place] for place in places])
            padded = collate([encoded[place] for place in places])
            yield {name: value.to(device) for name, value in padded.items()}


@contextmanager
def _ready(model: nn.Module, tokenizer: Any) -> Iterator[Any]:
    """Give the device of ``model``, which is the GPU's where there is one; what was changed comes back."""
    import torch

    config: Any = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    lacks_padding = config is not None and getattr(config, "pad_token_id", None) is None
    devices = {parameter.device for parameter in model.parameters()}
    moves = torch.cuda.is_available() and {device.type for device in devices} == {"cpu"}
    if lacks_padding:
        # Decoder classifiers find the last real token by it.
        config.pad_token_id = tokenizer.pad_token_id
    if moves:
        model.to("cuda")
    try:
        yield next(model.parameters()).device
    finally:
        if moves:
            model.to("cpu")
        if lacks_padding:
            config.pad_token_id = None

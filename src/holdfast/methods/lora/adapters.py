"""PEFT's adapters: put into a model's layers, and merged into their weights."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError

A, B = "lora_A.default.weight", "lora_B.default.weight"
"""Names that PEFT gives the two matrices inside its layer, (rank, in) and (out, rank)."""
BASE = "base_layer."
"""What it puts before the names of the layer's own parameters."""


def import_peft() -> Any:
    """Return the module ``peft``. Raises ``HoldfastError`` where it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise HoldfastError('lora needs PEFT: pip install "holdfast[lora]"') from error
    return peft


def insert(
    model: nn.Module,
    layers: Mapping[str, nn.Module],
    rank: int,
    alpha: float,
    dropout: float,
    generator: torch.Generator,
) -> None:
    """Put adapters into ``layers`` of ``model`` in place, and freeze all but them.

    Args:
        model: Changed in place.
        layers: Linear layers of ``model``, by name.
        rank: Of the change of each weight.
        alpha: The change is multiplied by ``alpha`` / ``rank``.
        dropout: Of the adapters' input.
        generator: Draws A; B is zero. The global random generators stay as they are.
    """
    peft = import_peft()
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        # A pattern of whole names: a list would also match the ends of longer ones.
        target_modules="|".join(map(re.escape, layers)),
        fan_in_fan_out=any(not isinstance(layer, nn.Linear) for layer in layers.values()),
    )
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        peft.inject_adapter_in_model(config, model)
    # Left there it would make the model pass for one that PEFT saves and loads.
    del model.peft_config
    for name in layers:
        layer: Any = model.get_submodule(name)
        layer.register_load_state_dict_pre_hook(_load_plain)
        first = layer.get_parameter(A)
        for adapter in (first, layer.get_parameter(B)):
            # The small steps of training are lost in half precision; PEFT's layer converts.
            adapter.data = adapter.data.to(torch.promote_types(adapter.dtype, torch.float32))
        drawn = torch.empty(first.shape, dtype=torch.float32)
        # PEFT's initialisation, from a generator that leaves the training's own alone.
        nn.init.kaiming_uniform_(drawn, a=5**0.5, generator=generator)
        first.data.copy_(drawn)


def merged(layer: Any, weight: Tensor, first: Tensor, second: Tensor, scale: float) -> Tensor:
    """Return ``weight`` + ``scale`` * B A, in the precision of ``weight``.

    Args:
        layer: PEFT's, around a linear layer.
        weight: (out, in), or (in, out) as the layers of GPT-2 have it.
        first: A, (rank, in).
        second: B, (out, rank).
        scale: alpha / rank.
    """
    precision = torch.promote_types(weight.dtype, torch.float32)
    change = second.to(precision) @ first.to(precision)
    if not isinstance(layer.base_layer, nn.Linear):
        change = change.T
    return (weight.to(precision) + scale * change).to(weight.dtype)


def _load_plain(layer: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let ``load_state_dict`` of the model take a plain checkpoint: its weights, and a change of zero."""
    if f"{prefix}weight" not in state:
        return
    for key in ("weight", "bias"):
        if f"{prefix}{key}" in state:
            state[f"{prefix}{BASE}{key}"] = state.pop(f"{prefix}{key}")
    state[f"{prefix}{A}"] = layer.get_parameter(A)
    state[f"{prefix}{B}"] = torch.zeros_like(layer.get_parameter(B))

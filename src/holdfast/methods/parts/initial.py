"""Fresh copies of a layer, drawn as the model's own initialisation draws it."""

import copy
from typing import Any, cast

import torch
from torch import nn


def fresh_linears(model: nn.Module, name: str, count: int, generator: torch.Generator) -> list[nn.Linear]:
    """Return ``count`` layers of the size of the linear layer ``name``, in float32 on the CPU, drawn independently.

    A Transformers model initialises a layer itself or through a module above it (T5's head, ModernBERT's model), so
    all of them get a turn, on a model without memory that holds the new layer. Where the model does not say
    how, it is as PyTorch makes linear layers. The global random generators stay as they are.
    """
    layer = cast(nn.Linear, model.get_submodule(name))
    pieces = name.split(".")
    above = [".".join(pieces[:end]) for end in reversed(range(len(pieces)))]
    skeleton = _without_memory(model)
    initialise: Any = getattr(model, "_init_weights", lambda module: None)
    found = []
    with torch.random.fork_rng(devices=[]):
        # The initialisers take no generator; seeding by torch.manual_seed would reach those of accelerators.
        torch.default_generator.set_state(generator.get_state())
        for _ in range(count):
            fresh = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, "cpu", torch.float32)
            setattr(skeleton.get_submodule(above[0]), pieces[-1], fresh)
            initialise(fresh)
            for path in above:
                initialise(skeleton.get_submodule(path))
            found.append(fresh)
    return found


def _without_memory(model: nn.Module) -> nn.Module:
    tensors: list[Any] = [*model.parameters(), *model.buffers()]
    memo: dict[int, Any] = {}
    for tensor in tensors:
        empty = torch.empty_like(tensor, device="meta")
        memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(model, memo)

"""Layers drawn anew, as the model's own initialisation draws them."""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError


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


def fresh_weights(model: nn.Module, name: str, generator: torch.Generator, method: str) -> dict[str, Tensor]:
    """Return new values for the parameters of the module ``name``, by their names in ``model``: float32, on the CPU.

    Each layer in it is made as PyTorch makes it, then the model's own initialisation (``_init_weights`` of the model
    or of the model inside it that the layer belongs to) goes over it from the inside out, up to the whole model, as
    it does when the model is built. That weights were loaded makes no difference. ``generator`` moves on, the global
    ones stay as they are. Raises ``HoldfastError``, naming ``method``, where a parameter is left undrawn.
    """
    skeleton = _without_memory(model)
    root = skeleton.get_submodule(name)
    for part in root.modules():
        for key, parameter in part.named_parameters(recurse=False):
            empty = torch.full(parameter.shape, torch.nan, dtype=torch.float32)
            part.register_parameter(key, nn.Parameter(empty, requires_grad=False))
    inside = [f"{name}.{path}" if path else name for path, _ in root.named_modules()]
    pieces = name.split(".")
    above = [".".join(pieces[:end]) for end in reversed(range(len(pieces)))]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.set_state(generator.get_state())
        for part in root.modules():
            reset: Any = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
        # What is inside comes first: a module's own rule for its layers overrides the general one.
        for path in [*reversed(inside), *above]:
            _initialise(skeleton, path)
        generator.set_state(torch.default_generator.get_state())
    found = {f"{name}.{key}": parameter.detach() for key, parameter in root.named_parameters()}
    undrawn = next((key for key, value in found.items() if bool(value.isnan().any())), None)
    if undrawn is not None:
        raise HoldfastError(
            f"{method} draws weights anew as {type(model).__name__} initialises them, which says nothing of {undrawn}: "
            "set it in the model's _init_weights"
        )
    return found


def _initialise(model: nn.Module, path: str) -> None:
    pieces = path.split(".") if path else []
    for end in reversed(range(len(pieces) + 1)):
        initialise: Any = getattr(model.get_submodule(".".join(pieces[:end])), "_init_weights", None)
        if callable(initialise):
            initialise(model.get_submodule(path))
            return


def _without_memory(model: nn.Module) -> nn.Module:
    tensors: list[Any] = [*model.parameters(), *model.buffers()]
    memo: dict[int, Any] = {}
    for tensor in tensors:
        empty = torch.empty_like(tensor, device="meta")
        memo[id(tensor)] = nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
    return copy.deepcopy(model, memo)

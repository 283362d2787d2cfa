"""Which layers of a model get adapters."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Literal, cast

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.lora.adapters import import_peft
from holdfast.methods.parts.model.layers import body_of
from holdfast.methods.parts.model.matrices import is_linear
from holdfast.methods.parts.model.pretrained import has_adapters


def adapted_layers(model: nn.Module, targets: Literal["linear", "attention"]) -> dict[str, Any]:
    """Return the layers of ``model`` that get adapters, by name.

    Left out are layers whose weight has several names, since merging into one would change the others. Raises
    ``HoldfastError`` without PEFT, on a model with adapters, or where there is nothing to adapt.
    """
    kind = type(model).__name__
    is_listed = _listed(model, targets)
    if has_adapters(model):
        raise HoldfastError(f"lora: {kind} has adapters already, merge them first or leave lora out")
    uses = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    inside = {id(module) for module in body_of(model).modules()}
    output = getattr(model, "get_output_embeddings", lambda: None)()
    layers = {
        name: module
        for name, module in model.named_modules()
        if id(module) in inside
        and module is not output
        and _is_plain_linear(module)
        and cast(Tensor, module.weight).requires_grad
        and uses[id(module.weight)] == 1
        and is_listed(name)
    }
    if not layers:
        raise HoldfastError(
            f"lora found no plain linear layer to adapt in the body of {kind}: give it a model with trainable "
            "nn.Linear layers, neither quantised nor frozen"
        )
    return layers


def _listed(model: nn.Module, targets: Literal["linear", "attention"]) -> Callable[[str], bool]:
    """Return which names ``targets`` asks for, as a function."""
    table = import_peft().utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    if targets == "linear":
        return lambda name: True
    architecture = getattr(getattr(model, "config", None), "model_type", None)
    if architecture not in table:
        raise HoldfastError(
            f"lora(targets=attention): PEFT lists no layers for {architecture or type(model).__name__}, "
            "use targets=linear"
        )
    entry = table[architecture]
    if isinstance(entry, str):
        return lambda name: re.fullmatch(entry, name) is not None
    return lambda name: any(name == end or name.endswith(f".{end}") for end in entry)


def _is_plain_linear(module: nn.Module) -> bool:
    # Of subclasses (quantised, or read past their forward as in nn.MultiheadAttention) nothing is known.
    return type(module) is nn.Linear or (is_linear(module) and not isinstance(module, nn.Linear))

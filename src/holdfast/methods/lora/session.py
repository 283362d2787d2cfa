"""A training with LoRA: layers with adapters in place of plain ones."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.lora.adapters import BASE, A, B, insert, merged
from holdfast.methods.lora.method import LoRA
from holdfast.methods.lora.targets import adapted_layers
from holdfast.methods.parts.model.freezing import new_head, restore_flags, train_only
from holdfast.methods.parts.rng import own_generator


class LoRASession(MethodSession[LoRA]):
    """The layers with adapters, and what was trained before."""

    def __init__(self, method: LoRA, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        layers, head = adapted_layers(model, method.targets), new_head(model, method.name)
        self._flags = train_only(model, head.values())
        generator = own_generator(method.name, plan.seed)
        insert(model, layers, method.rank, method.alpha, method.dropout, generator)
        for parameter in head.values():
            parameter.requires_grad_(True)
        self.scale = method.alpha / method.rank
        self.adapted: dict[str, Any] = {name: model.get_submodule(name) for name in layers}
        """PEFT's layers, by the name of the plain ones in them."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return the adapters, and the frozen weights and biases of their layers, which checkpoints hold merged."""
        return {
            f"{name}.{key}": value.detach().clone()
            for name, layer in self.adapted.items()
            for key, value in layer.named_parameters()
        }

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the layers with their adapters."""
        for name, layer in self.adapted.items():
            for key, value in layer.named_parameters():
                value.copy_(state[f"{name}.{key}"])

    @torch.no_grad()
    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with adapters merged into the weights."""
        plain = dict(state)
        for name, layer in self.adapted.items():
            first, second = plain.pop(f"{name}.{A}"), plain.pop(f"{name}.{B}")
            key = f"{name}.{BASE}weight"
            plain[key] = merged(layer, plain[key], first, second, self.scale)
        return {self._plain_name(key): value for key, value in plain.items()}

    @torch.no_grad()
    def finish(self) -> Mapping[str, float]:
        """Merge the adapters and leave the plain layers."""
        for name, layer in self.adapted.items():
            plain = layer.base_layer
            first, second = layer.get_parameter(A), layer.get_parameter(B)
            plain.weight.copy_(merged(layer, plain.weight, first, second, self.scale))
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, plain)
        restore_flags(self._flags)
        return {}

    def _plain_name(self, key: str) -> str:
        layer, base, rest = key.rpartition(f".{BASE}")
        return f"{layer}.{rest}" if base and layer in self.adapted else key

"""LoRA: train low-rank changes of frozen weights, and the head."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection
from holdfast.methods.parts.model.freezing import CHOICE, new_head, restore_flags, train_only
from holdfast.methods.parts.model.layers import body_of
from holdfast.methods.parts.model.matrices import is_linear
from holdfast.methods.parts.model.pretrained import UPDATE, has_adapters
from holdfast.methods.parts.rng import own_generator

_A, _B = "lora_A.default.weight", "lora_B.default.weight"
"""Names that PEFT gives the two matrices inside its layer, (rank, in) and (out, rank)."""
_BASE = "base_layer."


@dataclass(frozen=True)
class LoRA(Method):
    """Low-rank adaptation (Hu et al. 2022, section 4.1): each chosen weight W becomes W + alpha / rank * B A.

    A and B are trained and W is frozen, as are all other weights but a new head's, which is trained in full. The
    adapters are PEFT's, put into the model in place; what is saved is the model with W + alpha / rank * B A as
    its weights.

    Differs from the paper, which adapts the query and value projections (``targets="attention"``): adapting
    all linear layers of the body is what is advised today. A is drawn by a generator of its own, so that data
    order and dropout are those of the other methods at the same seed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), LoRA(rank=4)).train()
        >>> holdfast.methods.describe([LoRA(rank=4)])  # as commands spell it
        'lora(rank=4)'
    """

    name: ClassVar[str] = "lora"
    summary: ClassVar[str] = "trains low-rank changes of frozen weights, merged at the end"
    freezes: ClassVar[bool] = True

    rank: int = 8
    alpha: float = 16.0
    """The change is multiplied by ``alpha`` / ``rank``."""
    dropout: float = 0.05
    """Of the adapters' input; the model's own dropout stays as it is."""
    targets: Literal["linear", "attention"] = "linear"
    """All linear layers of the body, or those that PEFT lists for the architecture: mostly query and value."""
    lr_factor: float = 10.0
    """A study trains with this many times its learning rate."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise HoldfastError(f"lora(rank={self.rank}): rank must be at least 1")
        if not 0 <= self.dropout < 1:
            raise HoldfastError(f"lora(dropout={self.dropout}): dropout is a probability below 1")
        for field in ("alpha", "lr_factor"):
            if not 0 < getattr(self, field) < float("inf"):
                raise HoldfastError(f"lora({field}={getattr(self, field)}): {field} must be a number above 0")

    @property
    def replaces(self) -> frozenset[str]:
        """The choice of what is trained, and how the pre-trained weights move: not at all."""
        return frozenset({CHOICE, UPDATE})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` without PEFT, on a model with adapters, or where there is nothing to adapt."""
        self._targets(model)
        new_head(model, self.name)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights that get adapters."""
        weights = {f"{name}.weight": layer.weight for name, layer in self._targets(model).items()}
        # Adapters of half-precision weights are kept in float32.
        state = sum(self.rank * sum(w.shape) * max(w.element_size(), 4) for w in weights.values())
        return Selection(weights, f"frozen, with changes of rank {self.rank} and the head trained", state)

    def study_rate(self, base: float) -> float:
        """Return ``lr_factor`` times ``base``."""
        return self.lr_factor * base

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Put adapters into the model in place, and freeze all but them and the head."""
        peft = _peft()
        targets, head = self._targets(model), new_head(model, self.name)
        self.memory["flags"] = train_only(model, head.values())
        config = peft.LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            # A pattern of whole names: a list would also match the ends of longer ones.
            target_modules="|".join(map(re.escape, targets)),
            fan_in_fan_out=any(not isinstance(layer, nn.Linear) for layer in targets.values()),
        )
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            peft.inject_adapter_in_model(config, model)
        # Left there it would make the model pass for one that PEFT saves and loads.
        del model.peft_config
        for parameter in head.values():
            parameter.requires_grad_(True)
        self.memory["adapted"] = list(targets)
        generator = own_generator(self.name, plan.seed)
        for name in targets:
            layer: Any = model.get_submodule(name)
            layer.register_load_state_dict_pre_hook(_load_plain)
            first = layer.get_parameter(_A)
            for adapter in (first, layer.get_parameter(_B)):
                # The small steps of training are lost in half precision; PEFT's layer converts.
                adapter.data = adapter.data.to(torch.promote_types(adapter.dtype, torch.float32))
            drawn = torch.empty(first.shape, dtype=torch.float32)
            # PEFT's initialisation, from a generator that leaves the training's own alone.
            nn.init.kaiming_uniform_(drawn, a=5**0.5, generator=generator)
            first.data.copy_(drawn)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the adapters, and the frozen weights and biases of their layers, which checkpoints hold merged."""
        return {
            f"{name}.{key}": value.detach().clone()
            for name, layer in self._adapted(model)
            for key, value in layer.named_parameters()
        }

    @torch.no_grad()
    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the layers with their adapters."""
        for name, layer in self._adapted(model):
            for key, value in layer.named_parameters():
                value.copy_(state[f"{name}.{key}"])

    @torch.no_grad()
    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the state dict with adapters merged into the weights."""
        plain = dict(state)
        for name, layer in self._adapted(model):
            first, second = plain.pop(f"{name}.{_A}"), plain.pop(f"{name}.{_B}")
            key = f"{name}.{_BASE}weight"
            plain[key] = self._merged(layer, plain[key], first, second)
        names = tuple(self.memory.get("adapted", ()))
        return {_without_base(key, names): value for key, value in plain.items()}

    @torch.no_grad()
    def finish(self, model: nn.Module) -> None:
        """Merge the adapters and leave the plain layers."""
        for name, layer in self._adapted(model):
            plain = layer.base_layer
            plain.weight.copy_(self._merged(layer, plain.weight, layer.get_parameter(_A), layer.get_parameter(_B)))
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, plain)
        self.memory.pop("adapted", None)
        restore_flags(self.memory.pop("flags", []))

    def _adapted(self, model: nn.Module) -> list[tuple[str, Any]]:
        return [(name, model.get_submodule(name)) for name in self.memory.get("adapted", ())]

    def _merged(self, layer: Any, weight: Tensor, first: Tensor, second: Tensor) -> Tensor:
        precision = torch.promote_types(weight.dtype, torch.float32)
        change = second.to(precision) @ first.to(precision)
        if not isinstance(layer.base_layer, nn.Linear):
            change = change.T
        return (weight.to(precision) + self.alpha / self.rank * change).to(weight.dtype)

    def _targets(self, model: nn.Module) -> dict[str, Any]:
        """Return the layers that get adapters, by name.

        Left out are layers whose weight has several names, since merging into one would change the others.
        """
        kind = type(model).__name__
        listed = self._listed(model)
        if has_adapters(model):
            raise HoldfastError(f"lora: {kind} has adapters already, merge them first or leave lora out")
        uses = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
        inside = {id(module) for module in body_of(model).modules()}
        output = getattr(model, "get_output_embeddings", lambda: None)()
        found = {
            name: module
            for name, module in model.named_modules()
            if id(module) in inside
            and module is not output
            and _is_plain_linear(module)
            and cast(Tensor, module.weight).requires_grad
            and uses[id(module.weight)] == 1
            and listed(name)
        }
        if not found:
            raise HoldfastError(
                f"lora found no plain linear layer to adapt in the body of {kind}: give it a model with trainable "
                "nn.Linear layers, neither quantised nor frozen"
            )
        return found

    def _listed(self, model: nn.Module) -> Any:
        """Return which names ``targets`` asks for, as a function."""
        table = _peft().utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
        if self.targets == "linear":
            return lambda name: True
        architecture = getattr(getattr(model, "config", None), "model_type", None)
        if architecture not in table:
            raise HoldfastError(
                f"lora(targets=attention): PEFT lists no layers for {architecture or type(model).__name__}, "
                "use targets=linear"
            )
        entry = table[architecture]
        if isinstance(entry, str):
            return lambda name: re.fullmatch(entry, name)
        return lambda name: any(name == end or name.endswith(f".{end}") for end in entry)


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise HoldfastError('lora needs PEFT: pip install "holdfast[lora]"') from error
    return peft


def _is_plain_linear(module: nn.Module) -> bool:
    # Of subclasses (quantised, or read past their forward as in nn.MultiheadAttention) nothing is known.
    return type(module) is nn.Linear or (is_linear(module) and not isinstance(module, nn.Linear))


def _without_base(key: str, names: tuple[str, ...]) -> str:
    layer, base, rest = key.rpartition(f".{_BASE}")
    return f"{layer}.{rest}" if base and layer in names else key


def _load_plain(layer: Any, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Let ``load_state_dict`` of the model take a plain checkpoint: its weights, and a change of zero."""
    if f"{prefix}weight" not in state:
        return
    for key in ("weight", "bias"):
        if f"{prefix}{key}" in state:
            state[f"{prefix}{_BASE}{key}"] = state.pop(f"{prefix}{key}")
    state[f"{prefix}{_A}"] = layer.get_parameter(_A)
    state[f"{prefix}{_B}"] = torch.zeros_like(layer.get_parameter(_B))

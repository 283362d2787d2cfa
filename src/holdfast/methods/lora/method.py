"""LoRA: train low-rank changes of frozen weights, and the head."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.lora.targets import adapted_layers
from holdfast.methods.parts.model.freezing import new_head
from holdfast.methods.requires import Footprint, Order, Part, Requires


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
    def requires(self) -> Requires:
        """The choice of what is trained, and how the pre-trained weights move: not at all."""
        return Requires(replaces={Part.TRAINED, Part.UPDATE}, order=Order.MODEL, lr_scale=self.lr_factor)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that get adapters.

        Raises ``HoldfastError`` without PEFT, on a model with adapters, or where there is nothing to adapt.
        """
        layers = adapted_layers(model, self.targets)
        new_head(model, self.name)
        weights = {f"{name}.weight": layer.weight for name, layer in layers.items()}
        # Adapters of half-precision weights are kept in float32.
        state = sum(self.rank * sum(w.shape) * max(w.element_size(), 4) for w in weights.values())
        return Footprint(weights, f"frozen, with changes of rank {self.rank} and the head trained", state)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["LoRA"]:
        """Put adapters into the model in place, and freeze all but them and the head."""
        from holdfast.methods.lora.session import LoRASession

        return LoRASession(self, model, plan)

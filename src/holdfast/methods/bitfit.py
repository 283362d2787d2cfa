"""BitFit: train the biases and the head."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.freezing import new_head, restore_flags, train_only
from holdfast.methods.parts.model.layers import body_of
from holdfast.methods.parts.model.pretrained import refuse_adapters
from holdfast.methods.requires import Footprint, Order, Part, Requires


@dataclass(frozen=True)
class BitFit(Method):
    """Train the bias terms and the new head, and nothing else (Ben-Zaken et al. 2022, all biases).

    Biases are those of linear layers, of normalisation and of the pooler; the weights of these are frozen.
    Needs a larger learning rate than full fine-tuning.

    Differs from the published code in that biases are parameters of that name, where the code takes every
    name that contains it (T5's ``relative_attention_bias`` is an embedding), and in the schedule, which is the
    training's own.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), BitFit(lr_factor=20.0)).train()
        >>> holdfast.methods.describe([BitFit(lr_factor=20.0)])  # as commands spell it
        'bitfit(lr_factor=20.0)'
    """

    name: ClassVar[str] = "bitfit"
    summary: ClassVar[str] = "trains the biases and the head alone"

    lr_factor: float = 10.0
    """A study trains with this many times its learning rate."""

    def __post_init__(self) -> None:
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"bitfit(lr_factor={self.lr_factor}): it multiplies the learning rate, above 0")

    @property
    def requires(self) -> Requires:
        """The choice of what is trained, which is no matrix."""
        return Requires(
            replaces={Part.TRAINED, Part.MATRICES},
            order=Order.MODEL,
            whole_weights=False,
            lr_scale=self.lr_factor,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the biases and the head.

        Raises ``HoldfastError`` when the body has no trainable bias or the head cannot be told from it.
        """
        return Footprint(self.trained(model), "trained, all else frozen")

    def start(self, model: nn.Module, plan: Plan) -> "BitFitSession":
        """Freeze all but the biases and the head."""
        return BitFitSession(self, model, plan)

    def trained(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the parameters of ``model`` that are trained, by name."""
        refuse_adapters(model, self.name)
        head = new_head(model, self.name)
        biases = {name: p for name, p in model.named_parameters() if p.requires_grad and _is_bias(name)}
        inside = {id(parameter) for parameter in body_of(model).parameters()}
        if not any(id(parameter) in inside for parameter in biases.values()):
            raise HoldfastError(
                f"bitfit trains biases, and the body of {type(model).__name__} has none to train: "
                "use lora or top_k_layers, or a model with biases"
            )
        return biases | head


class BitFitSession(MethodSession[BitFit]):
    """Remembers what was trained before."""

    def __init__(self, method: BitFit, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._flags = train_only(model, method.trained(model).values())

    def finish(self) -> Mapping[str, float]:
        """Unfreeze."""
        restore_flags(self._flags)
        return {}


def _is_bias(name: str) -> bool:
    # Also in_proj_bias of nn.MultiheadAttention and q_bias of DeBERTa, but no module called so-and-so bias.
    return "bias" in name.rpartition(".")[2].split("_")

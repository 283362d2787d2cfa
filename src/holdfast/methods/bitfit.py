"""BitFit: train the biases and the head."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection
from holdfast.methods.parts.model.freezing import CHOICE, MATRICES, new_head, restore_flags, train_only
from holdfast.methods.parts.model.layers import body_of
from holdfast.methods.parts.model.pretrained import refuse_adapters


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
    freezes: ClassVar[bool] = True

    lr_factor: float = 10.0
    """A study trains with this many times its learning rate."""

    def __post_init__(self) -> None:
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"bitfit(lr_factor={self.lr_factor}): it multiplies the learning rate, above 0")

    @property
    def replaces(self) -> frozenset[str]:
        """The choice of what is trained, which is no matrix."""
        return frozenset({CHOICE, MATRICES})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the body has no trainable bias or the head cannot be told from it."""
        self._chosen(model)

    def selection(self, model: nn.Module) -> Selection:
        """Return the biases and the head."""
        return Selection(self._chosen(model), "trained, all else frozen", 0)

    def study_rate(self, base: float) -> float:
        """Return ``lr_factor`` times ``base``."""
        return self.lr_factor * base

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Freeze all but the biases and the head."""
        self.memory["flags"] = train_only(model, self._chosen(model).values())

    def finish(self, model: nn.Module) -> None:
        """Unfreeze."""
        restore_flags(self.memory.pop("flags", []))

    def _chosen(self, model: nn.Module) -> dict[str, nn.Parameter]:
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


def _is_bias(name: str) -> bool:
    # Also in_proj_bias of nn.MultiheadAttention and q_bias of DeBERTa, but no module called so-and-so bias.
    return "bias" in name.rpartition(".")[2].split("_")

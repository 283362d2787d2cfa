"""R4F: R3F with a head that cannot stretch distances."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan, Step
from holdfast.methods.parts.model.heads import head_linears
from holdfast.methods.parts.spectral import SpectralLinear, constrain, release
from holdfast.methods.r3f import R3F


@dataclass(frozen=True)
class R4F(R3F):
    """R3F with every weight matrix of the head divided by its largest singular value (Aghajanyan et al. 2020).

    The head is what lies above the pre-trained body. The division is by sigma_max itself, also where that is
    below 1. It is estimated by power iteration, once an optimizer step, from the exact singular vectors at
    the start. In the saved model the division is carried out, so it is an ordinary model.

    Differs from the published code, which normalises the last layer alone: ``head="last"``. Generation has
    no head weights, so only R3F exists there.

    Example:
        >>> engine = Engine(model, [R4F()], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['r4f', 'task']
    """

    name: ClassVar[str] = "r4f"
    summary: ClassVar[str] = "r3f with a spectrally normalised head"

    head: Literal["last", "all"] = "all"
    """Which linear layers of the head: the paper's "all" weight matrices, or the published code's "last"."""

    @property
    def replaces(self) -> frozenset[str]:
        """The head."""
        return frozenset({"head"})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model has no head of plain linear layers, or one of them is zero."""
        super().check(model)
        for name, layer in self._chosen(model):
            # On the meta device, where a study is checked before it runs, weights have no values yet.
            if not layer.weight.is_meta and not bool(layer.weight.detach().any()):
                raise HoldfastError(
                    f"{self.name} divides by the largest singular value, and the weight of {name} is all zero"
                )

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Constrain the head's layers in place."""
        super().prepare(model, plan)
        for _, layer in self._chosen(model):
            constrain(layer)

    def on_update(self, step: Step) -> None:
        """Let the singular vectors follow the weights."""
        for _, layer in _constrained(step.model):
            layer.refresh()

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The undivided weights and the singular vectors, which a plain checkpoint does not hold."""
        state = super().state_dict(model)
        for name, layer in _constrained(model):
            state |= {f"{name}.{key}": getattr(layer, key).detach().clone() for key in ("weight", "u", "v")}
        return state

    @torch.no_grad()
    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the undivided weights and the singular vectors."""
        super().load_state_dict(model, state)
        for name, layer in _constrained(model):
            for key in ("weight", "u", "v"):
                getattr(layer, key).copy_(state[f"{name}.{key}"])

    @torch.no_grad()
    def plain_state(self, model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Carry out the division in the saved weights."""
        return state | {f"{name}.weight": layer.normalised_weight() for name, layer in _constrained(model)}

    def finish(self, model: nn.Module) -> None:
        """Carry out the division in the model and leave plain linear layers."""
        for _, layer in _constrained(model):
            release(layer)

    def _chosen(self, model: nn.Module) -> list[tuple[str, nn.Linear]]:
        found = head_linears(model, self.name)
        return found if self.head == "all" else found[-1:]


def _constrained(model: nn.Module) -> list[tuple[str, SpectralLinear]]:
    return [(name, module) for name, module in model.named_modules() if isinstance(module, SpectralLinear)]

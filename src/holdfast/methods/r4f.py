"""R4F: R3F with a head that cannot stretch distances."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.model.heads import head_linears
from holdfast.methods.parts.spectral import constrain, release
from holdfast.methods.r3f.method import R3F
from holdfast.methods.r3f.session import R3FSession
from holdfast.methods.requires import Footprint, Part, Requires


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
    def requires(self) -> Requires:
        """What R3F does, and the head."""
        return replace(super().requires, replaces={Part.HEAD}, whole_weights=True)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model has no head of plain linear layers, or one of them is zero."""
        for name, layer in self.layers_of(model):
            # On the meta device, where a study is checked before it runs, weights have no values yet.
            if not layer.weight.is_meta and not bool(layer.weight.detach().any()):
                raise HoldfastError(
                    f"{self.name} divides by the largest singular value, and the weight of {name} is all zero"
                )
        return super().check(model)

    def start(self, model: nn.Module, plan: Plan) -> "R4FSession":
        """Constrain the head's layers in place."""
        return R4FSession(self, model, plan)

    def layers_of(self, model: nn.Module) -> list[tuple[str, nn.Linear]]:
        """Return the layers of ``model`` that are normalised, by name."""
        linears = head_linears(model, self.name)
        return linears if self.head == "all" else linears[-1:]


class R4FSession(R3FSession):
    """The head's layers, constrained."""

    def __init__(self, method: R4F, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.constrained = [(name, constrain(layer)) for name, layer in method.layers_of(model)]

    def after_step(self, step: Step) -> None:
        """Let the singular vectors follow the weights."""
        for _, layer in self.constrained:
            layer.refresh()

    def state_dict(self) -> dict[str, Tensor]:
        """The undivided weights and the singular vectors, which a plain checkpoint does not hold."""
        state = super().state_dict()
        for name, layer in self.constrained:
            state |= {f"{name}.{key}": getattr(layer, key).detach().clone() for key in ("weight", "u", "v")}
        return state

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the undivided weights and the singular vectors."""
        super().load_state_dict(state)
        for name, layer in self.constrained:
            for key in ("weight", "u", "v"):
                getattr(layer, key).copy_(state[f"{name}.{key}"])

    @torch.no_grad()
    def plain_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Carry out the division in the saved weights."""
        return state | {f"{name}.weight": layer.normalised_weight() for name, layer in self.constrained}

    def finish(self) -> Mapping[str, float]:
        """Carry out the division in the model and leave plain linear layers."""
        for _, layer in self.constrained:
            release(layer)
        return {}

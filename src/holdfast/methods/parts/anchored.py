"""What methods share that pull weights to their pre-trained values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor, nn

from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.pretrained import Pretrained
from holdfast.methods.requires import Part, Requires


@dataclass(frozen=True)
class Anchored(Method):
    """A method that keeps the pre-trained values of weights, with its checkpoints too."""

    @property
    def requires(self) -> Requires:
        """How pre-trained weights move."""
        return Requires(replaces={Part.UPDATE}, gradients=True)

    def anchors(self, model: nn.Module) -> Pretrained:
        """Return the weights of ``model`` that are pulled. Raises ``HoldfastError`` where none of them is trained."""
        raise NotImplementedError


A = TypeVar("A", bound=Anchored)


class AnchoredSession(MethodSession[A]):
    """The weights that are pulled; their values are taken at the first step, on the device they then have."""

    def __init__(self, method: A, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.anchors = method.anchors(model)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the pre-trained values."""
        return self.anchors.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the pre-trained values."""
        self.anchors.load_state_dict(state)

"""What methods share that pull weights to their pre-trained values."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from holdfast.methods.base import Method, Plan
from holdfast.methods.parts.model.pretrained import UPDATE, Pretrained


@dataclass(frozen=True)
class HoldsPretrained(Method):
    """A method that keeps the pre-trained values of weights, with its checkpoints too."""

    @property
    def replaces(self) -> frozenset[str]:
        """How pre-trained weights move."""
        return frozenset({UPDATE})

    def held(self, model: nn.Module) -> Pretrained:
        """Return the weights of ``model`` that are pulled. Raises ``HoldfastError`` where none of them is trained."""
        raise NotImplementedError

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` where no pre-trained weight is trained."""
        self.held(model)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Look up the weights; their values are taken at the first step, on the device they then have."""
        self.memory["kept"] = self.held(model)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the pre-trained values."""
        return self._kept.state_dict()

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the pre-trained values."""
        self._kept.load_state_dict(state)

    @property
    def _kept(self) -> Pretrained:
        found: Pretrained = self.memory["kept"]
        return found

"""Input columns of weight matrices put back to their pre-trained values at random (Mixout)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from holdfast.methods.parts.mixing import Mixture, mix, unmix
from holdfast.methods.parts.model.matrices import Matrix
from holdfast.methods.parts.rng import own_generator


class ColumnMixer:
    """Lets the layers of ``chosen`` compute with W0 + N / (1 - drop) * (W - W0) in training.

    W0 is the weight at the time this is made. N is 0 for a share ``drop`` of the matrix's input columns, drawn
    by ``draw`` and the same for all forward passes until it is called again, so that neither accumulation nor
    activation checkpointing changes it. The gradient with respect to the mixture reaches W unchanged.
    """

    def __init__(self, chosen: Sequence[Matrix], drop: float, name: str, seed: int) -> None:
        self.chosen = chosen
        self.drop = drop
        self.generator = own_generator(name, seed)
        self.initial = {matrix.name: matrix.weight.detach().clone() for matrix in chosen}
        self.mixtures = {name: Mixture(weight, 1 / (1 - drop)) for name, weight in self.initial.items()}
        for matrix in chosen:
            mix(matrix, self.mixtures[matrix.name])
        self.draw()

    def draw(self) -> None:
        """Draw the columns that keep their trained values in the next step."""
        sizes = [matrix.weight.shape[matrix.input_dim] for matrix in self.chosen]
        # All at once: one copy to the accelerator, not one a matrix.
        columns = (torch.rand(sum(sizes), generator=self.generator) >= self.drop).to(self.chosen[0].weight.device)
        for matrix, kept in zip(self.chosen, torch.split(columns, sizes), strict=True):
            weight, mixture = matrix.weight, self.mixtures[matrix.name]
            self.initial[matrix.name] = self.initial[matrix.name].to(weight.device, weight.dtype)
            mixture.base = self.initial[matrix.name]
            mixture.kept = kept.to(weight.device).unsqueeze(1 - matrix.input_dim)

    def columns(self, name: str) -> Tensor:
        """Return the boolean draw for the matrix ``name``, (1, in), or (in, 1) where the weight is (in, out)."""
        kept = self.mixtures[name].kept
        assert kept is not None
        return kept

    def state_dict(self, drawn: bool = True) -> dict[str, Tensor]:
        """Return the pre-trained weights, the generator and, where ``drawn``, the columns in use."""
        state = {"generator": self.generator.get_state()}
        state |= {f"initial.{name}": weight for name, weight in self.initial.items()}
        if drawn:
            state |= {f"columns.{name}": self.columns(name) for name in self.mixtures}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned."""
        self.generator.set_state(state["generator"].cpu())
        for matrix in self.chosen:
            name, device = matrix.name, matrix.weight.device
            self.initial[name] = state[f"initial.{name}"].to(device)
            if f"columns.{name}" in state:
                self.mixtures[name].base = self.initial[name]
                self.mixtures[name].kept = state[f"columns.{name}"].to(device)

    def release(self) -> None:
        """Leave plain layers."""
        unmix(self.chosen)

"""Mixout: dropout towards the pre-trained weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Step
from holdfast.methods.parts.column_mixing import ColumnMixer
from holdfast.methods.parts.mixing import check_mixable
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout
from holdfast.methods.parts.model.matrices import matrices
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class Mixout(Method):
    """Put random input columns of every weight matrix back to their pre-trained values (Lee, Cho & Kang 2020).

    In training a linear layer computes with W0 + N / (1 - drop) * (W - W0), where N is 0 for a share ``drop`` of
    its inputs. As dropout it keeps the expectation, and evaluation uses W alone. It takes dropout's place, which
    is switched off. A new head is mixed with its initial values.

    Differs from the published code: N is drawn once an optimizer step, not once a forward, so that accumulation
    and activation checkpointing change nothing; targets are saved with checkpoints and never copied between
    devices; evaluation costs nothing; weights tied to an embedding are left alone.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), Mixout(drop=0.5)).train()
        >>> holdfast.methods.describe([Mixout(drop=0.5)])  # as commands spell it
        'mixout(drop=0.5)'
    """

    name: ClassVar[str] = "mixout"
    summary: ClassVar[str] = "dropout towards the pre-trained weights"

    drop: float = 0.9
    """Share of the input columns put back at each step; 0.9 is that of the published example."""
    gradient: Literal["published", "exact"] = "published"
    """W gets the gradient of the mixture, masked by N, as the published code passes it; or that divided by
    1 - drop, as the formula says; for Adam they differ in clipping alone."""
    dropout: float | None = 0.0
    """Dropout probability in training: 0 as published; none leaves the model's own."""

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise HoldfastError(f"mixout(drop={self.drop}): drop is a share of the columns, at least 0 and below 1")
        check_dropout(self.name, self.dropout)

    @property
    def requires(self) -> Requires:
        """The weights that all layers compute with, those of the head too, and the gradients of whole matrices."""
        return Requires(
            replaces={Part.HEAD, Part.FORWARD_WEIGHTS},
            uses={Part.BODY, Part.GRADIENTS},
            gradients=True,
            dropout=self.dropout,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the weight matrices that are mixed, and are kept a second time.

        Raises ``HoldfastError`` when the model trains no linear layer, or has one that cannot be mixed.
        """
        chosen = matrices(model, self.name)
        check_mixable(chosen, self.name)
        weights = {matrix.name: matrix.weight for matrix in chosen}
        state = sum(weight.numel() * weight.element_size() for weight in weights.values())
        return Footprint(weights, f"{self.drop:.0%} of the input columns put back at each step", state)

    def start(self, model: nn.Module, plan: Plan) -> "MixoutSession":
        """Set dropout, keep the pre-trained weights and let the layers compute with mixtures."""
        return MixoutSession(self, model, plan)


class MixoutSession(MethodSession[Mixout]):
    """The pre-trained weights, and the columns drawn."""

    def __init__(self, method: Mixout, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._own_dropout = set_dropout(model, method.dropout)
        self.mixer = ColumnMixer(matrices(model, method.name), method.drop, method.name, plan.seed)

    @torch.no_grad()
    def on_gradients(self, step: Step) -> None:
        """Take away the gradients of the columns put back."""
        scale = 1 / (1 - self.method.drop) if self.method.gradient == "exact" else 1.0
        for matrix in self.mixer.chosen:
            if matrix.weight.grad is not None:
                columns = self.mixer.columns(matrix.name).to(matrix.weight.grad.dtype)
                matrix.weight.grad.mul_(columns.mul_(scale))

    def after_step(self, step: Step) -> None:
        """Draw the columns of the next step."""
        self.mixer.draw()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the pre-trained weights, the columns in use and the generator."""
        return {key: value.clone() for key, value in self.mixer.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned."""
        self.mixer.load_state_dict(state)

    def finish(self) -> Mapping[str, float]:
        """Leave plain layers with the dropout they had."""
        self.mixer.release()
        restore_dropout(self._own_dropout)
        return {}

"""Plain fine-tuning: the baseline every method is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout
from holdfast.methods.requires import Requires


@dataclass(frozen=True)
class Vanilla(Method):
    """Train on the task loss alone, as the training settings say.

    ``Vanilla(dropout=0.0)`` is the control for DPS and Mixout, which switch the model's dropout off.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), Vanilla(dropout=0.0)).train()
        >>> holdfast.methods.describe([Vanilla(dropout=0.0)])  # as commands spell it
        'vanilla(dropout=0.0)'
    """

    name: ClassVar[str] = "vanilla"
    summary: ClassVar[str] = "plain fine-tuning, the usual baseline"

    dropout: float | None = None
    """Sets every dropout probability of the model while it trains; none leaves them as they are."""

    def __post_init__(self) -> None:
        check_dropout(self.name, self.dropout)

    @property
    def requires(self) -> Requires:
        """Dropout of its rate."""
        return Requires(whole_weights=False, dropout=self.dropout)

    def start(self, model: nn.Module, plan: Plan) -> "VanillaSession":
        """Set dropout."""
        return VanillaSession(self, model, plan)


class VanillaSession(MethodSession[Vanilla]):
    """Keeps the model's own dropout for the end."""

    def __init__(self, method: Vanilla, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._own_dropout = set_dropout(model, method.dropout)

    def finish(self) -> Mapping[str, float]:
        """Put dropout back."""
        restore_dropout(self._own_dropout)
        return {}

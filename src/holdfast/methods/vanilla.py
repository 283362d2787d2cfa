"""Plain fine-tuning: the baseline every method is compared with."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.methods.base import Method, Plan
from holdfast.methods.parts.model.dropout import check_dropout, restore_dropout, set_dropout


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
    def model_dropout(self) -> float | None:
        """The rate while it trains."""
        return self.dropout

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Set dropout."""
        if self.dropout is not None:
            self.memory["dropout"] = set_dropout(model, self.dropout)

    def finish(self, model: nn.Module) -> None:
        """Put dropout back."""
        restore_dropout(self.memory.pop("dropout", []))

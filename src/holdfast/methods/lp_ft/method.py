"""LP-FT: the head first, then everything."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan, TrainingData
from holdfast.methods.lp_ft.linear_probe import train_head
from holdfast.methods.parts.body_cache import LIMIT
from holdfast.methods.parts.model.freezing import new_head
from holdfast.methods.requires import Footprint, Order, Part, Requires

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LPFT(Method):
    """Linear probing, then fine-tuning (Kumar et al. 2022): train the new head alone, then all weights as ever.

    Fine-tuning a new head together with the body changes the body's features while the head is still random. Here
    the head is trained first, on the features of the frozen body, which are computed once a row
    (``parts/body_cache.py``): by AdamW without weight decay, at a rate that falls linearly from epoch to epoch, all
    dropout off. The training proper begins with that head. These settings are our choice.

    Every layer of the head is trained first, also where it has two (RoBERTa) and is not linear.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), LPFT(epochs=2)).train()
        >>> holdfast.methods.describe([LPFT(epochs=2)])  # as commands spell it
        'lp_ft(epochs=2)'
    """

    name: ClassVar[str] = "lp_ft"
    summary: ClassVar[str] = "trains the head alone first, then everything"

    epochs: int = 10
    """Passes of the head over the training rows; but for the first they cost little."""
    learning_rate: float = 1e-3
    """Of the head in these passes, at their start."""

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise HoldfastError(f"lp_ft(epochs={self.epochs}): the head needs at least 1 pass over the training rows")
        if not 0 < self.learning_rate < float("inf"):
            raise HoldfastError(f"lp_ft(learning_rate={self.learning_rate!r}): learning_rate must be above 0")

    @property
    def requires(self) -> Requires:
        """The body in full, and the weights as the model computes with them: mixtures hold on to the random head."""
        return Requires(
            uses={Part.BODY, Part.FORWARD_WEIGHTS},
            # The head is trained before methods that look at the data, in whatever order given.
            order=Order.MODEL,
            data=True,
            full_pass=True,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the head. The state is the most that is kept of the training rows while it trains alone.

        Raises ``HoldfastError`` when the model has no head of its own to train.
        """
        return Footprint(self.head(model), f"trained alone for {self.epochs} epochs first", LIMIT)

    def start(self, model: nn.Module, plan: Plan) -> "LPFTSession":
        """Change nothing yet: the head is trained when there is data."""
        return LPFTSession(self, model, plan)

    def head(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the parameters of the head of ``model``, by name."""
        head = new_head(model, self.name)
        if not head:
            raise HoldfastError(
                f"lp_ft trains the head first, and {type(model).__name__} has no new head that is trained: "
                "leave lp_ft out, or use a model with a classification head"
            )
        return head


class LPFTSession(MethodSession[LPFT]):
    """The head's losses; its weights are the model's."""

    def __init__(self, method: LPFT, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self.losses: tuple[float, float] | None = None
        """The head's mean training loss in the first and the last of its epochs alone; None before those."""

    def calibrate(self, data: TrainingData) -> None:
        """Train the head."""
        method = self.method
        head = list(method.head(self.model).values())
        losses = train_head(self.model, head, data, method.epochs, method.learning_rate, method.name)
        self.losses = losses[0], losses[-1]
        logger.info("lp_ft: the head's mean loss fell from %.4g in its first epoch to %.4g", *self.losses)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the losses."""
        return {} if self.losses is None else {"losses": torch.tensor(self.losses, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the losses."""
        if "losses" in state:
            first, last = state["losses"].tolist()
            self.losses = first, last

    def finish(self) -> Mapping[str, float]:
        """Return the losses."""
        if self.losses is None:
            return {}
        return {"first_epoch_loss": self.losses[0], "last_epoch_loss": self.losses[1]}

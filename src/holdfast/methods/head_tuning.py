"""Head tuning: train the head on the features of a frozen body, which are computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.body_cache import LIMIT, BodyCache
from holdfast.methods.parts.model.freezing import new_head, restore_flags, train_only
from holdfast.methods.requires import Footprint, Order, Part, Requires


@dataclass(frozen=True)
class HeadTuning(Method):
    """Train the head alone, on fixed features of the body (the second setting of Fu, So & Collier 2023).

    The head is what lies above the pre-trained body; a pooler that belongs to that (BERT) stays frozen, as in the code
    of Fu et al.'s preceding paper (AAAI 2023), where all but the task's head gets no gradient. While the head trains,
    the body is in evaluation mode, so that a row has one vector of features; the head's own dropout stays.

    Features are computed once a row, in training order, and kept in main memory (``parts/body_cache.py``). They are
    those of the row run alone: padded in a batch it gets the same up to rounding. That is our choice, and so is the
    learning rate. Outputs of the body that the head does not read are zero in what the model returns in training.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), HeadTuning(lr_factor=100.0)).train()
        >>> holdfast.methods.describe([HeadTuning(lr_factor=100.0)])  # as commands spell it
        'head_tuning(lr_factor=100.0)'
    """

    name: ClassVar[str] = "head_tuning"
    summary: ClassVar[str] = "trains the head alone, on features computed once"

    lr_factor: float = 200.0
    """A study trains with this many times its learning rate."""

    def __post_init__(self) -> None:
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"head_tuning(lr_factor={self.lr_factor}): it multiplies the learning rate, above 0")

    @property
    def requires(self) -> Requires:
        """The choice of what is trained, and all that could be done with the body."""
        return Requires(
            replaces={Part.TRAINED, Part.UPDATE, Part.BODY},
            order=Order.MODEL,
            lr_scale=self.lr_factor,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the head. The state is the most that is kept of the training rows, however many there are.

        Raises ``HoldfastError`` when the model has no head of its own to train.
        """
        return Footprint(self.trained(model), "trained, all else frozen; what it reads is kept for each row", LIMIT)

    def start(self, model: nn.Module, plan: Plan) -> "HeadTuningSession":
        """Freeze the body and put the cache in its place."""
        return HeadTuningSession(self, model, plan)

    def trained(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the parameters of ``model`` that are trained, by name."""
        head = new_head(model, self.name)
        if not head:
            raise HoldfastError(
                f"head_tuning trains the head alone, and {type(model).__name__} has no new head that is trained: "
                "use bitfit or top_k_layers, or a model with a classification head"
            )
        return head


class HeadTuningSession(MethodSession[HeadTuning]):
    """The features of the rows, and what was trained before."""

    def __init__(self, method: HeadTuning, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._flags = train_only(model, method.trained(model).values())
        self.cache = BodyCache(model, method.name)

    def finish(self) -> Mapping[str, float]:
        """Unfreeze, and let the body run again."""
        self.cache.remove()
        restore_flags(self._flags)
        return {}

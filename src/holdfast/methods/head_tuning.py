"""Head tuning: train the head on the features of a frozen body, which are computed once."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection
from holdfast.methods.parts.body_cache import LIMIT, BodyCache
from holdfast.methods.parts.model.freezing import BODY, CHOICE, new_head, restore_flags, train_only
from holdfast.methods.parts.model.pretrained import UPDATE


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
    freezes: ClassVar[bool] = True

    lr_factor: float = 200.0
    """A study trains with this many times its learning rate."""

    def __post_init__(self) -> None:
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"head_tuning(lr_factor={self.lr_factor}): it multiplies the learning rate, above 0")

    @property
    def replaces(self) -> frozenset[str]:
        """The choice of what is trained, and all that could be done with the body."""
        return frozenset({CHOICE, UPDATE, BODY})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model has no head of its own to train."""
        self._chosen(model)

    def selection(self, model: nn.Module) -> Selection:
        """Return the head. The state is the most that is kept of the training rows, however many there are."""
        return Selection(self._chosen(model), "trained, all else frozen; what it reads is kept for each row", LIMIT)

    def study_rate(self, base: float) -> float:
        """Return ``lr_factor`` times ``base``."""
        return self.lr_factor * base

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Freeze the body and put the memo in its place."""
        self.memory["flags"] = train_only(model, self._chosen(model).values())
        self.memory["memo"] = BodyCache(model, self.name)

    def finish(self, model: nn.Module) -> None:
        """Unfreeze, and forget the features."""
        memo = self.memory.pop("memo", None)
        if memo is not None:
            memo.remove()
        restore_flags(self.memory.pop("flags", []))

    def _chosen(self, model: nn.Module) -> dict[str, nn.Parameter]:
        head = new_head(model, self.name)
        if not head:
            raise HoldfastError(
                f"head_tuning trains the head alone, and {type(model).__name__} has no new head that is trained: "
                "use bitfit or top_k_layers, or a model with a classification head"
            )
        return head

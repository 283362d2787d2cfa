"""R-Drop: two passes with different dropout, trained both and pulled together."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Forward, Step, View
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.outputs import logits_of, task_loss_of
from holdfast.methods.requires import Part, Requires

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RDrop(Method):
    """Regularised dropout (Wu et al. 2021): (CE1 + CE2) / 2 + alpha / 2 * KL_S(P1 || P2), KL_S = KL12 + KL21.

    The batch runs twice with dropout of its own, without noise; both passes carry the task loss. For regression the
    squared difference of the outputs takes the place of KL_S, for multi-label tasks the KL of independent Bernoulli
    variables; outputs a token are averaged over the labelled positions.

    The task's logged loss is CE1; what this method adds is (CE2 - CE1) / 2 + alpha / 2 * KL_S, so that the sum is the
    loss above. A loss that sums the two cross entropies, as the published code for classification does, is twice
    this one: its weight of KL_S / 2 is then twice the ``alpha`` here. That code also sums KL over the batch.

    Example:
        >>> engine = Engine(model, [RDrop(alpha=0.5)], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['r_drop', 'task']
    """

    name: ClassVar[str] = "r_drop"
    summary: ClassVar[str] = "trains two dropout passes and pulls them together"

    alpha: float = 1.0
    """Weight of half the symmetric KL. Our choice; r3f's ``weight`` that corresponds is alpha / 2."""

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < float("inf"):
            raise HoldfastError(f"r_drop(alpha={self.alpha!r}): alpha must be a number of at least 0")

    @property
    def requires(self) -> Requires:
        """The body, which runs twice."""
        return Requires(uses={Part.BODY}, outputs=True, views=True, whole_weights=False)

    def start(self, model: nn.Module, plan: Plan) -> "RDropSession":
        """Return the session; the model stays as it is."""
        return RDropSession(self, model, plan)


class RDropSession(MethodSession[RDrop]):
    """Whether the two passes were seen to differ or to be equal."""

    def __init__(self, method: RDrop, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._compared = False

    def views(self, step: Step) -> Sequence[View]:
        """A second pass."""
        return (View(),)

    def loss(self, forward: Forward) -> Tensor | None:
        """Half the difference of the second pass's loss to the first's, and the weighted divergence."""
        name = self.method.name
        first, second = logits_of(forward.outputs, name), logits_of(forward.views[0], name)
        task_loss = task_loss_of(forward, name, "for its second pass")
        if task_loss is None:
            return None
        apart = divergence(forward.kind, first, second)
        if forward.token_mask is None:
            between = apart.sum() / forward.rows
        else:
            between = (apart * forward.token_mask).sum() / forward.tokens
        self._warn_without_dropout(apart)
        return (task_loss(second) - task_loss(first)) / 2 + self.method.alpha / 2 * between

    def _warn_without_dropout(self, apart: Tensor) -> None:
        if not self._compared:
            self._compared = True
            if not bool(apart.detach().any()):
                logger.warning(
                    "r_drop does nothing: its two passes are equal, as the model runs without dropout; "
                    "give it some (a dropout rate in its configuration), or use r3f with a larger sigma"
                )

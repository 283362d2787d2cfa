"""DPS: stages in which the gradients are watched, and stages in which the important weights alone are trained."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.dps.stages import stages_of
from holdfast.methods.parts.mixing import check_mixable
from holdfast.methods.parts.model.dropout import check_dropout
from holdfast.methods.parts.model.matrices import matrices
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class DPS(Method):
    """Dynamic Parameter Selection (Zhang et al. 2022), for the weight matrices of all linear layers.

    Training alternates between two stages of ``update_ratio`` of its optimizer steps. In stage I squared
    gradients are summed, entry by entry. In stage II the gradients of the ``drop`` smallest sums of each matrix
    are set to zero. ``variant="dense"`` trains everything in stage I. ``"mix"`` puts random input columns back
    to their pre-trained values there (Mixout), each draw for one step, divides each sum by the number of steps
    in which the entry was trained, and computes stage II with the frozen entries as they were at its start and
    the change of the others divided by 1 - drop. Biases, normalisation and embeddings are trained all the time.

    Differs from the published code, which counts micro-batches, breaks under accumulation, loss scaling,
    activation checkpointing and resumption, keeps 12 to 28 bytes a weight, and calls the dropped share
    ``reserve_p``.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), DPS(variant="mix", drop=0.2)).train()
        >>> holdfast.methods.describe([DPS(variant="mix", drop=0.2)])  # as commands spell it
        'dps(variant=mix, drop=0.2)'
    """

    name: ClassVar[str] = "dps"
    summary: ClassVar[str] = "trains the weights with the largest gradients, chosen anew in stages"

    variant: Literal["dense", "mix"] = "dense"
    """Whether stage I is plain training, or Mixout."""
    drop: float = 0.3
    """Share of each matrix frozen in stage II, and of the columns put back in stage I of "mix"."""
    update_ratio: float = 0.05
    """Length of a stage as a share of all optimizer steps."""
    freeze: Literal["gradient", "hard"] = "gradient"
    """Frozen weights get no gradient, but drift with the optimizer's momentum and decay, as published; or they do
    not move at all."""
    scores: Literal["accumulated", "adam"] = "accumulated"
    """Squared gradients summed over stage I, as published; or Adam's second moments, which cost no memory."""
    scope: Literal["tensor", "global"] = "tensor"
    """Whether entries are ranked within their matrix, as published, or among those of all matrices."""
    dropout: float | None = 0.0
    """Dropout probability in training: 0 as published; none leaves the model's own."""

    def __post_init__(self) -> None:
        if not 0 <= self.drop < 1:
            raise HoldfastError(f"dps(drop={self.drop}): drop is a share of the weights, at least 0 and below 1")
        if not 0 < self.update_ratio <= 0.5:
            raise HoldfastError(
                f"dps(update_ratio={self.update_ratio}): a stage's share of the steps must be above 0 and at most 0.5"
            )
        check_dropout(self.name, self.dropout)

    @property
    def requires(self) -> Requires:
        """The gradients of whole matrices; for "mix", the weights that all layers compute with, the head's too."""
        return Requires(
            replaces={Part.HEAD, Part.FORWARD_WEIGHTS} if self.variant == "mix" else set(),
            uses={Part.BODY, Part.GRADIENTS},
            gradients=True,
            dropout=self.dropout,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the weight matrices in which DPS selects.

        Raises ``HoldfastError`` when the model trains no linear layer, or "mix" cannot reach one.
        """
        chosen = matrices(model, self.name)
        if self.variant == "mix":
            check_mixable(chosen, self.name)
        weights = {matrix.name: matrix.weight for matrix in chosen}
        state = sum(weight.numel() * self._bytes(weight) for weight in weights.values())
        where = "each matrix" if self.scope == "tensor" else "all matrices together"
        return Footprint(weights, f"{self.drop:.0%} of {where} frozen in every second stage", state)

    def check_plan(self, plan: Plan) -> None:
        """Raise ``HoldfastError`` when the training is too short for two stages."""
        if plan.total_steps is not None:
            stages_of(plan.total_steps, self.update_ratio)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["DPS"]:
        """Set dropout; for "mix", keep the pre-trained weights and let the layers compute with mixtures."""
        from holdfast.methods.dps.session import DPSSession

        return DPSSession(self, model, plan)

    def _bytes(self, weight: Tensor) -> int:
        """Bytes of state for each entry of ``weight``, in the stage that needs most."""
        mixing, size = self.variant == "mix", weight.element_size()
        first = max(4, size) if self.scores == "accumulated" else 0
        second = 1 + (size if mixing or self.freeze == "hard" else 0)
        return max(first, second) + (size if mixing else 0)

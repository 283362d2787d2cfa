"""Child-Tuning D: the weights that matter most for the task, found once and trained alone."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.layers import layer_stacks
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class ChildTuningD(Method):
    """Child-Tuning, task-driven (Xu et al. 2021, equations 5 and 6, and its published trainer).

    One pass over the training data, before training, sums squared gradients. Of all weights of the transformer
    layers, biases and normalisation included, the ``keep`` share with the largest sums is the child network;
    the gradients of the others are zero in the whole training, after clipping and without rescaling.
    Embeddings, pooler and head are always trained.

    The default sums squares of the batch's gradient as the published code does, which differs from the paper's
    formula: ``fisher="example"``. The published code compares with a percentile, here exactly the share is kept;
    it ignores its own warm-up setting, and computes the mask anew when a training is resumed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), ChildTuningD(keep=0.2)).train()
        >>> holdfast.methods.describe([ChildTuningD(keep=0.2)])  # as commands spell it
        'child_tuning_d(keep=0.2)'
    """

    name: ClassVar[str] = "child_tuning_d"
    summary: ClassVar[str] = "trains the weights with the largest Fisher information on the task"

    keep: float = 0.3
    """Share of the layers' weights that is trained. The paper's p_D, the published code's reserve_p."""
    fisher: Literal["batch", "example"] = "batch"
    """"batch": the gradient of each batch, dropout on, each tensor's clipped to norm 1, squared. "example": the
    gradient of each row, dropout off, squared; it takes as many backward passes as there are rows."""
    freeze: Literal["gradient", "hard"] = "gradient"
    """Other weights get no gradient, but weight decay still shrinks them, as published; or do not move at all."""
    max_batches: int | None = None
    """Batches of training data to look at, a process; none looks at all."""

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise HoldfastError(
                f"{self.name}(keep={self.keep}): keep is a share of the weights, use 0 < keep <= 1, such as 0.3"
            )
        if self.max_batches is not None and self.max_batches < 1:
            raise HoldfastError(f"{self.name}(max_batches={self.max_batches}): use at least 1, or none for all batches")

    @property
    def requires(self) -> Requires:
        """The body's weights, and the gradients of whole matrices; texts, where each has a gradient of its own."""
        texts = {Part.TEXTS} if self.fisher == "example" else set()
        return Requires(
            uses={Part.BODY, Part.GRADIENTS} | texts,
            gradients=True,
            data=True,
            full_pass=self.max_batches is None,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights of the transformer layers, among which the child network is chosen.

        Raises ``HoldfastError`` when the model has no transformer layers, or trains none of their weights.
        """
        weights = self.layer_weights(model)
        state = 0
        for weight in weights.values():
            copy = weight.element_size() if self.freeze == "hard" else 0
            # The float32 sums are gone when training begins.
            state += weight.numel() * (1 + max(4, copy))
        return Footprint(weights, f"the {100 * self.keep:g} % with the largest Fisher information trained", state)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["ChildTuningD"]:
        """Leave the model as it is: the child network is chosen once there are data."""
        from holdfast.methods.child_tuning_d.session import ChildTuningDSession

        return ChildTuningDSession(self, model, plan)

    def layer_weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the trained parameters of all transformer blocks of ``model`` by name, shared ones once.

        Raises ``HoldfastError`` where there are none.
        """
        stacks = layer_stacks(model, self.name)
        inside = {id(p) for stack in stacks for _, block in stack for p in block.parameters()}
        weights = {name: p for name, p in model.named_parameters() if id(p) in inside and p.requires_grad}
        if not weights:
            raise HoldfastError(
                f"{self.name} chooses among the weights of the transformer layers, and {type(model).__name__} trains "
                "none: leave requires_grad of some of them true"
            )
        return weights

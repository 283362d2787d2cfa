"""SIFT: train the few entries of each matrix whose first gradient is largest."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.matrices import Matrix, matrices
from holdfast.methods.parts.model.pretrained import body_parameters, refuse_adapters
from holdfast.methods.requires import Footprint, Order, Part, Requires


@dataclass(frozen=True)
class SIFT(Method):
    """Sparse increment fine-tuning (Song et al. 2024, and its published code).

    Of each chosen weight, int(rate * n) + 1 of n entries are trained: those with the largest absolute gradient
    at the first optimizer step. The optimizer works on a vector of those entries, added to the weight after each
    step, so its state is as sparse, and dense gradients are dropped tensor by tensor in the backward pass. The
    head is trained whole, everything else is frozen.

    Differs from the published code: a step takes effect at once and the last one is saved (there each waits for
    the next backward pass); the tensor whose gradient comes last is trained too; the first batch trains and
    does not only select; layers are found by kind; runs can be resumed and distributed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), SIFT(rate=0.01)).train()
        >>> holdfast.methods.describe([SIFT(rate=0.01)])  # as commands spell it
        'sift(rate=0.01)'
    """

    name: ClassVar[str] = "sift"
    summary: ClassVar[str] = "trains the entries whose first gradient is largest"

    rate: float = 0.008
    """Share of each weight's entries; that of the published GLUE scripts (Llama: 0.05)."""
    modules: Literal["attention", "linear"] = "attention"
    """Linear layers inside attention modules, as in the GLUE scripts, or all of the body, as for Llama."""
    decay: bool = False
    """Let weight decay shrink the trained entries; published, it acts on their last step and does nothing."""
    lr_factor: float = 3.5
    """What a study multiplies its learning rate by: the GLUE scripts' 7e-5 over a customary 2e-5."""

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise HoldfastError(f"sift(rate={self.rate!r}): rate is a share of the entries, above 0 and at most 1")
        if not 0 < self.lr_factor < float("inf"):
            raise HoldfastError(f"sift(lr_factor={self.lr_factor!r}): lr_factor must be a number above 0")

    @property
    def requires(self) -> Requires:
        """Which weights are trained, how the pre-trained ones move, and the gradients of whole matrices."""
        return Requires(
            replaces={Part.TRAINED, Part.UPDATE, Part.GRADIENTS},
            order=Order.MODEL,
            gradients=True,
            lr_scale=self.lr_factor,
        )

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are trained in part; places and increments are kept for those parts.

        Raises ``HoldfastError`` for adapters, and where there is nothing to choose from.
        """
        refuse_adapters(model, self.name)
        weights = self.weights(model)
        for name, weight in weights.items():
            if not weight.is_contiguous():
                raise HoldfastError(
                    f"sift numbers the entries of {name}, which is not contiguous in memory: make it so"
                )
        state = sum(self.count(p) * (p.element_size() + (4 if p.numel() < 2**31 else 8)) for p in weights.values())
        action = f"{self.rate:.2g} of the entries of each trained, the rest of the body frozen"
        return Footprint(weights, action, state)

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["SIFT"]:
        """Freeze what is not chosen and register the vectors that the optimizer trains."""
        from holdfast.methods.sift.session import SIFTSession

        return SIFTSession(self, model, plan)

    def count(self, weight: nn.Parameter) -> int:
        """Return how many entries of ``weight`` are trained."""
        return min(int(self.rate * weight.numel()) + 1, weight.numel())

    def weights(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the weights of ``model`` that are trained in part, by name.

        Weights and biases of the chosen layers, as the name patterns of the published scripts match both.
        """
        body = body_parameters(model, self.name)
        inside = _in_attention(model) if self.modules == "attention" else None
        weights: dict[str, nn.Parameter] = {}
        for matrix in matrices(model, self.name):
            if matrix.name in body and (inside is None or id(matrix.modules[0]) in inside):
                weights[matrix.name] = matrix.weight
                weights |= _bias(matrix)
        if not weights:
            attention = self.modules == "attention"
            where, remedy = ("attention modules", "use modules=linear, or ") if attention else ("pre-trained body", "")
            raise HoldfastError(
                f"sift(modules={self.modules}) finds no trained linear layer in the {where} of "
                f"{type(model).__name__}: {remedy}unfreeze some"
            )
        return weights


def _in_attention(model: nn.Module) -> set[int]:
    """Modules inside one whose class is called an attention, as in all of Transformers."""
    kinds = [module for module in model.modules() if "attention" in type(module).__name__.lower()]
    return {id(inner) for module in kinds if module is not model for inner in module.modules()}


def _bias(matrix: Matrix) -> dict[str, nn.Parameter]:
    bias = getattr(matrix.modules[0], "bias", None)
    if not isinstance(bias, nn.Parameter) or not bias.requires_grad:
        return {}
    return {matrix.name.removesuffix("weight") + "bias": bias}

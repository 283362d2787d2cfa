"""LLRD: layer-wise learning-rate decay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.layers import above_stack, body_of, layer_stacks
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class LLRD(Method):
    """Train a block the slower the lower it is: the learning rate times decay^d.

    d is 0 for the head and all that lies above the blocks, 1 for the top block, 2 for the next, and one more than
    the lowest block's for the embeddings. "Discriminative fine-tuning" of Howard & Ruder (2018), in the form of the
    published code of Zhang et al. (2021, "Revisiting few-sample BERT fine-tuning").

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), LLRD(decay=0.9)).train()
        >>> holdfast.methods.describe([LLRD(decay=0.9)])  # as commands spell it
        'llrd(decay=0.9)'
    """

    name: ClassVar[str] = "llrd"
    summary: ClassVar[str] = "a lower learning rate for each lower block"

    decay: float = 0.95
    """Factor from a block to the one below it; 0.95 is that of the published example for RTE."""

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise HoldfastError(
                f"llrd(decay={self.decay!r}): decay multiplies the learning rate from a block to the one below it and "
                "must lie above 0 and be at most 1"
            )

    @property
    def requires(self) -> Requires:
        """The body, whose blocks it tells apart."""
        return Requires(uses={Part.BODY})

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model has no blocks, or none of its body is trained."""
        if not any(_depths(model, self.name).values()):
            raise HoldfastError(
                f"llrd slows the lower blocks down, and nothing of {type(model).__name__} below its head is trained: "
                "unfreeze it, or leave llrd out"
            )
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "LLRDSession":
        """Leave the model as it is."""
        return LLRDSession(self, model, plan)


class LLRDSession(MethodSession[LLRD]):
    """Keeps no state: the optimizer's groups hold the rates."""

    def lr_multipliers(self) -> Mapping[str, float]:
        """Return decay^d by parameter name."""
        return {name: self.method.decay**depth for name, depth in _depths(self.model, self.method.name).items()}


def _depths(model: nn.Module, method: str) -> dict[str, int]:
    """Return d of every trained parameter of the body by name."""
    stacks = layer_stacks(model, method)
    depths: dict[int, int] = {}
    deepest = 1 + max(len(stack) for stack in stacks)
    above = [module for stack in stacks for module in above_stack(model, stack)]
    blocks = {id(block): len(stack) - at for stack in stacks for at, (_, block) in enumerate(stack)}
    zero = {id(module) for module in above}

    def visit(module: nn.Module, depth: int) -> None:
        depth = blocks.get(id(module), 0 if id(module) in zero else depth)
        for parameter in module.parameters(recurse=False):
            # Weights in several places, such as embeddings that are the output layer too, get the slowest rate.
            depths[id(parameter)] = max(depth, depths.get(id(parameter), 0))
        for child in module.children():
            visit(child, depth)

    visit(body_of(model), deepest)
    return {
        name: depths[id(parameter)]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and id(parameter) in depths
    }

"""Top-k layer tuning: train the upper blocks and the head, freeze what is below."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.freezing import new_head, restore_flags, train_only
from holdfast.methods.parts.model.layers import above_stack, is_encoder_decoder, top_stack
from holdfast.methods.requires import Footprint, Order, Part, Requires
from holdfast.methods.top_k_layers.stop_gradient import cut_after, cut_before


@dataclass(frozen=True)
class TopKLayers(Method):
    """Train the top ``k`` transformer blocks, what lies above them and the head; freeze the rest.

    The baseline of this name in Child-Tuning (Xu et al. 2021) and DPS (Zhang et al. 2022); no code of it was
    published. Above the blocks are the final normalisation and the pooler. No gradient flows below the
    ``k``-th block, so frozen blocks cost a forward pass alone. In encoder-decoder models the blocks are the
    decoder's: with any block of the encoder, the whole decoder would have to pass gradients on to it.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), TopKLayers(k=1)).train()
        >>> holdfast.methods.describe([TopKLayers(k=1)])  # as commands spell it
        'top_k_layers(k=1)'
    """

    name: ClassVar[str] = "top_k_layers"
    summary: ClassVar[str] = "trains the upper blocks and the head alone"

    k: int = 3
    """Blocks that are trained; 0 trains the head alone (linear probing)."""

    def __post_init__(self) -> None:
        if self.k < 0:
            raise HoldfastError(f"top_k_layers(k={self.k}): k counts blocks from the top and must be at least 0")

    @property
    def requires(self) -> Requires:
        """The choice of what is trained, the gradient below that, and for ``k`` 0 how the pre-trained weights move."""
        replaces = {Part.TRAINED, Part.INPUT_GRADIENTS} | (set() if self.k else {Part.UPDATE})
        return Requires(replaces=replaces, order=Order.MODEL, whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights of the upper blocks, of what is above them and of the head.

        Raises ``HoldfastError`` when the model has fewer blocks, or nothing of it would be trained.
        """
        return Footprint(self.trained(model), "trained, all else frozen")

    def start(self, model: nn.Module, plan: Plan) -> "TopKLayersSession":
        """Freeze what is below, and end the backward pass there."""
        return TopKLayersSession(self, model, plan)

    def trained(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """Return the parameters of ``model`` that are trained, by name."""
        stack = top_stack(model, self.name)
        if self.k > len(stack):
            raise HoldfastError(
                f"top_k_layers(k={self.k}): {type(model).__name__} has {len(stack)} blocks, give a k of at most that"
            )
        upper: list[nn.Module] = []
        if self.k:
            upper = [block for _, block in stack[-self.k :]] + above_stack(model, stack)
        below = {id(p) for p in _parameters_outside(model, upper)}
        above = {id(p) for part in upper for p in part.parameters()}
        head = new_head(model, self.name)
        # Weights shared with what is below would be read, and so need gradients, there.
        chosen = {
            name: p
            for name, p in model.named_parameters()
            if name in head or (p.requires_grad and id(p) in above and id(p) not in below)
        }
        if not chosen:
            raise HoldfastError(
                f"top_k_layers(k={self.k}): nothing of {type(model).__name__} would be trained, as it has no new head "
                "or its upper blocks are frozen or shared with the lower ones: give a larger k"
            )
        return chosen


class TopKLayersSession(MethodSession[TopKLayers]):
    """The ends of the backward pass, and what was trained before."""

    def __init__(self, method: TopKLayers, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        self._flags = train_only(model, method.trained(model).values())
        stack = top_stack(model, method.name)
        self._cuts = [cut_before(stack[-method.k][1]) if method.k else cut_after(stack[-1][1])]
        if method.k and is_encoder_decoder(model):
            # The encoder's output enters at each block.
            decoder = stack[0][0].rsplit(".", 2)[0]
            self._cuts.append(cut_before(model.get_submodule(decoder)))

    def finish(self) -> Mapping[str, float]:
        """Unfreeze, and let gradients pass again."""
        for cut in self._cuts:
            cut.remove()
        restore_flags(self._flags)
        return {}


def _parameters_outside(module: nn.Module, parts: list[nn.Module]) -> Iterator[nn.Parameter]:
    """Yield the parameters of ``module`` by every way to them that does not lead through ``parts``."""
    if any(module is part for part in parts):
        return
    yield from module.parameters(recurse=False)
    for child in module.children():
        yield from _parameters_outside(child, parts)

"""Top-k layer tuning: train the upper blocks and the head, freeze what is below."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, Plan, Selection
from holdfast.methods.parts.model.freezing import CHOICE, INPUTS, new_head, restore_flags, train_only
from holdfast.methods.parts.model.layers import above_stack, is_encoder_decoder, top_stack
from holdfast.methods.parts.model.pretrained import UPDATE
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
    freezes: ClassVar[bool] = True

    k: int = 3
    """Blocks that are trained; 0 trains the head alone (linear probing)."""

    def __post_init__(self) -> None:
        if self.k < 0:
            raise HoldfastError(f"top_k_layers(k={self.k}): k counts blocks from the top and must be at least 0")

    @property
    def replaces(self) -> frozenset[str]:
        """The choice of what is trained, the gradient below that, and for ``k`` 0 how the pre-trained weights move."""
        return frozenset({CHOICE, INPUTS} | (set() if self.k else {UPDATE}))

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model has fewer blocks, or nothing of it would be trained."""
        self._chosen(model)

    def selection(self, model: nn.Module) -> Selection:
        """Return the weights of the upper blocks, of what is above them and of the head."""
        return Selection(self._chosen(model), "trained, all else frozen", 0)

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Freeze what is below, and end the backward pass there."""
        self.memory["flags"] = train_only(model, self._chosen(model).values())
        stack = top_stack(model, self.name)
        self.memory["cuts"] = [cut_before(stack[-self.k][1]) if self.k else cut_after(stack[-1][1])]
        if self.k and is_encoder_decoder(model):
            # The encoder's output enters at each block.
            decoder = stack[0][0].rsplit(".", 2)[0]
            self.memory["cuts"].append(cut_before(model.get_submodule(decoder)))

    def finish(self, model: nn.Module) -> None:
        """Unfreeze."""
        for cut in self.memory.pop("cuts", []):
            cut.remove()
        restore_flags(self.memory.pop("flags", []))

    def _chosen(self, model: nn.Module) -> dict[str, nn.Parameter]:
        stack = top_stack(model, self.name)
        if self.k > len(stack):
            raise HoldfastError(
                f"top_k_layers(k={self.k}): {type(model).__name__} has {len(stack)} blocks, give a k of at most that"
            )
        trained: list[nn.Module] = []
        if self.k:
            trained = [block for _, block in stack[-self.k :]] + above_stack(model, stack)
        below = {id(p) for p in _parameters_outside(model, trained)}
        ours = {id(p) for part in trained for p in part.parameters()}
        head = new_head(model, self.name)
        # Weights shared with what is below would be read, and so need gradients, there.
        chosen = {
            name: p
            for name, p in model.named_parameters()
            if name in head or (p.requires_grad and id(p) in ours and id(p) not in below)
        }
        if not chosen:
            raise HoldfastError(
                f"top_k_layers(k={self.k}): nothing of {type(model).__name__} would be trained, as it has no new head "
                "or its upper blocks are frozen or shared with the lower ones: give a larger k"
            )
        return chosen


def _parameters_outside(module: nn.Module, parts: list[nn.Module]) -> Iterator[nn.Parameter]:
    """Yield the parameters of ``module`` by every way to them that does not lead through ``parts``."""
    if any(module is part for part in parts):
        return
    yield from module.parameters(recurse=False)
    for child in module.children():
        yield from _parameters_outside(child, parts)

"""Re-initialisation: the top layers start anew."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.initialisation import fresh_weights
from holdfast.methods.parts.model.layers import above_stack, top_stack
from holdfast.methods.parts.model.pretrained import refuse_adapters
from holdfast.methods.parts.rng import own_generator
from holdfast.methods.requires import Footprint, Order, Part, Requires


@dataclass(frozen=True)
class ReInit(Method):
    """Draw the top ``layers`` transformer blocks and the pooler anew before training (Zhang et al. 2021, Re-init).

    The published code draws weights from N(0, initializer_range), and sets biases to 0 and normalisations to 1 and
    0. Here each architecture's own initialisation does it, which for BERT is the same. In encoder-decoder models the
    blocks are the decoder's. With the blocks goes the final normalisation above them (ModernBERT, GPT-2, Llama), whose
    scale was learned for what they gave; that is our choice, as the published code knows models without one.

    Methods that hold weights near their start (l2_sp, mixout) would hold these near random values, and are refused.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), ReInit(layers=1)).train()
        >>> holdfast.methods.describe([ReInit(layers=1)])  # as commands spell it
        'reinit(layers=1)'
    """

    name: ClassVar[str] = "reinit"
    summary: ClassVar[str] = "draws the top blocks and the pooler anew"

    layers: int | None = None
    """Blocks drawn anew, counted from the top; none takes a fifth of them, rounded, and at least 1. Our choice: of
    BERT-large's 24 it makes the 5 of the published example."""
    pooler: bool = True
    """Whether the body's pooler (BERT, ALBERT) is drawn anew, too; others have none."""

    def __post_init__(self) -> None:
        if self.layers is not None and self.layers < 0:
            raise HoldfastError(f"reinit(layers={self.layers}): layers counts blocks from the top, at least 0")

    @property
    def requires(self) -> Requires:
        """All weights, trained: what is drawn anew and then frozen, or held near its start, stays random."""
        return Requires(uses={Part.TRAINED, Part.UPDATE, Part.FORWARD_WEIGHTS}, order=Order.MODEL)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are drawn anew.

        Raises ``HoldfastError`` when the model has too few blocks, or what is drawn would harm what is not.
        """
        parts = self._parts(model)
        weights = _weights(model, parts)
        kind = type(model).__name__
        for key, weight in weights.items():
            if not weight.requires_grad:
                raise HoldfastError(f"reinit would leave {key} of {kind} random, it is frozen: unfreeze it")
            if not weight.is_floating_point():
                raise HoldfastError(f"reinit cannot draw {key} of {kind}, it is quantised: load the model in full")
        drawn = {id(weight): key for key, weight in weights.items()}
        for key, weight in model.named_parameters(remove_duplicate=False):
            if id(weight) in drawn and key not in weights:
                raise HoldfastError(
                    f"reinit would draw {drawn[id(weight)]} of {kind} anew, and {key} shares it: give fewer layers"
                )
        # Blocks are of one kind, so one tells whether the model says how they are drawn.
        for part in parts[-2:]:
            fresh_weights(model, part, torch.Generator(), self.name)
        once = {name: weight for name, weight in model.named_parameters() if name in weights}
        return Footprint(once, "drawn anew before training")

    @torch.no_grad()
    def start(self, model: nn.Module, plan: Plan) -> MethodSession[Any]:
        """Draw, on the CPU and in float32 whatever the model's, so that every process and device gets the same."""
        generator = own_generator(self.name, plan.seed)
        parts = self._parts(model)
        weights = _weights(model, parts)
        for part in parts:
            for key, value in fresh_weights(model, part, generator, self.name).items():
                weights[key].copy_(value)
        return super().start(model, plan)

    def _parts(self, model: nn.Module) -> list[str]:
        """Return the names of the modules that are drawn anew, bottom first."""
        refuse_adapters(model, self.name)
        stack = top_stack(model, self.name)
        count = max(1, round(len(stack) / 5)) if self.layers is None else self.layers
        if count >= len(stack):
            blocks = f"{len(stack)} block" + "s" * (len(stack) > 1)
            raise HoldfastError(
                f"reinit(layers={count}): {type(model).__name__} has {blocks}, and one must keep its pre-trained "
                "weights: give fewer layers, or 0 for the pooler alone"
            )
        names = {id(module): name for name, module in model.named_modules()}
        parts = [name for name, _ in stack[len(stack) - count :]]
        for module in above_stack(model, stack):
            drawn = self.pooler if any(p.dim() > 1 for p in module.parameters()) else bool(count)
            if drawn and any(True for _ in module.parameters()):
                parts.append(names[id(module)])
        if not parts:
            raise HoldfastError(
                f"reinit(layers={count}): {type(model).__name__} has no pooler to draw anew: give layers of at least 1"
            )
        return parts


def _weights(model: nn.Module, parts: list[str]) -> dict[str, nn.Parameter]:
    """Return the parameters of the modules called ``parts``, those shared among them under each of their names."""
    prefixes = tuple(f"{part}." for part in parts)
    return {name: p for name, p in model.named_parameters(remove_duplicate=False) if name.startswith(prefixes)}

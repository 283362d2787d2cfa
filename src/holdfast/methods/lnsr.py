"""LNSR: keep what all layers compute where it is when the hidden vectors below tremble."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.forward import Forward, Step, View
from holdfast.methods.parts.model.layers import bottom_stack
from holdfast.methods.parts.noise.rounding import warn_of_lost_noise
from holdfast.methods.parts.padding import real_tokens
from holdfast.methods.requires import Footprint, Part, Requires


def lnsr_penalty(clean: Sequence[Tensor], noised: Sequence[Tensor], tokens: Tensor) -> Tensor:
    """Return the squared differences of hidden vectors, summed over blocks: a scalar, the mean over rows.

    ``clean``, ``noised``: for each block (rows, tokens, width). ``tokens``: (rows, tokens), 1 for tokens and 0 for
    padding. A row's difference is the mean over its tokens and the width. Hua et al. 2021, without the weights lambda.
    """
    share = tokens / tokens.sum(-1, keepdim=True).clamp(min=1)
    squares = [(b.float() - a.float()).square().mean(-1) for a, b in zip(clean, noised, strict=True)]
    return (torch.stack(squares).sum(0) * share).sum(-1).mean()


@dataclass(frozen=True)
class LNSR(Method):
    """Layer-wise noise stability regularisation (Hua et al. 2021, arXiv 2107.04835).

    Adds ``weight`` * sum over r > b of ||h_r(x_b + z) - h_r(x_b)||^2 to the loss: x_b enters block b, h_r is what the
    block r gives, z ~ N(0, sigma^2) on every entry. Both passes have the same dropout masks, without which their
    difference would be that of dropout, and gradient flows through both. Outputs are not compared, so that
    regression needs no form of its own. In encoder-decoder models the blocks are the encoder's.

    There is no published code. Our choices: the mean over tokens and width in place of the plain sum, which grows
    with the text's length; equal weights of all blocks; the defaults.

    Example:
        >>> engine = Engine(model, [LNSR(layer=1)], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['lnsr', 'task']
    """

    name: ClassVar[str] = "lnsr"
    summary: ClassVar[str] = "keeps all layers' hidden vectors still under noise below them"

    weight: float = 1.0
    """Lambda, of every block. Our choice."""
    layer: int = 0
    """b: the block, 0 the lowest, whose input gets the noise; 0 is the embeddings' output."""
    sigma: float = 0.01
    """Standard deviation of the noise. Our choice."""
    relative: bool = False
    """True: ``sigma`` is a share of the root mean square of the entries of the hidden vector it is added to."""

    def __post_init__(self) -> None:
        for field in ("weight", "sigma"):
            value = getattr(self, field)
            if not 0 <= value < float("inf"):
                raise HoldfastError(f"lnsr({field}={value!r}): {field} must be a number of at least 0")
        if self.layer < 0:
            raise HoldfastError(f"lnsr(layer={self.layer}): layers are counted from 0, the lowest")

    @property
    def requires(self) -> Requires:
        """The body, which runs on the copy, and the mean over each text."""
        uses = {Part.BODY, Part.TEXTS}
        return Requires(uses=uses, outputs=True, views=True, blocks=True, whole_weights=False)

    def check(self, model: nn.Module) -> Footprint:
        """Raise ``HoldfastError`` when the model has no such block."""
        blocks = len(bottom_stack(model, self.name))
        if self.layer >= blocks:
            raise HoldfastError(
                f"lnsr(layer={self.layer}): {type(model).__name__} has {blocks} blocks, so layer is 0 to {blocks - 1}"
            )
        return Footprint()

    def start(self, model: nn.Module, plan: Plan) -> "LNSRSession":
        """Warn of noise that rounds away."""
        warn_of_lost_noise(model, self.sigma, self.name)
        return LNSRSession(self, model, plan)


class LNSRSession(MethodSession[LNSR]):
    """Asks for the noised copy, and compares its blocks with the clean rows'."""

    def views(self, step: Step) -> Sequence[View]:
        """A copy that leaves the clean rows before the block, with their dropout."""
        method = self.method
        if method.weight == 0 or method.sigma == 0:
            return ()
        noise = HiddenNoise(method.sigma, method.relative)
        return (View(noise, layer=method.layer, same_dropout=True),)

    def loss(self, forward: Forward) -> Tensor | None:
        """Weight times the differences of the blocks above the noise."""
        if not forward.views:
            return None
        method = self.method
        clean, noised = forward.blocks[method.layer :], forward.view_blocks[0][method.layer :]
        rows = len(forward.batch["labels"])
        value = lnsr_penalty(clean, noised, real_tokens(forward.batch, clean[0], method.name))
        return method.weight * rows / forward.rows * value


@dataclass(frozen=True)
class HiddenNoise:
    """Adds N(0, sigma^2) to hidden vectors, drawn on their device from the global generator, in float32."""

    sigma: float
    relative: bool
    """Whether ``sigma`` is a share of each vector's root mean square, which is a constant for gradients."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return (rows, tokens, width) hidden vectors with noise, in their own precision."""
        noise = torch.randn_like(hidden, dtype=torch.float32).mul_(self.sigma)
        if self.relative:
            noise *= hidden.detach().float().square().mean(-1, keepdim=True).sqrt()
        return (noise + hidden).to(hidden.dtype)

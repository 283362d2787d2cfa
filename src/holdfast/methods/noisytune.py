"""NoisyTune: a little noise on the pre-trained weights before they are tuned."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.pretrained import body_parameters, refuse_adapters
from holdfast.methods.parts.rng import own_generator
from holdfast.methods.requires import Footprint, Order, Part, Requires


def weight_noise(weight: Tensor, intensity: float, generator: torch.Generator) -> Tensor:
    """Return U(-intensity/2, intensity/2) * std(``weight``) of the shape of ``weight``, in float32 on its device.

    The standard deviation is that of the entries around their mean, divided by their number: 0 for a single one.
    """
    drawn = torch.rand(weight.shape, generator=generator, device=generator.device)
    spread = weight.float().std(correction=0)
    return drawn.to(weight.device).sub_(0.5).mul_(intensity * spread)


@dataclass(frozen=True)
class NoisyTune(Method):
    """Noise on the pre-trained weights before fine-tuning (Wu et al. 2022), each W by its own standard deviation.

    W becomes W + U(-intensity/2, intensity/2) * std(W), once, before the first step, for each trained parameter of the
    pre-trained body; a new head stays as it was drawn. The formula is known here from memory and the abstract, which
    speaks of matrices; that vectors (biases, normalisation) get noise too is our reading.

    Drawn on the CPU by a generator of the method's own, so that all processes and devices get the same noise, and
    data order and dropout are those of the other methods at the same seed.

    Example:
        >>> output = attach(Trainer(model, args, train_dataset=data), NoisyTune(intensity=0.1)).train()
        >>> holdfast.methods.describe([NoisyTune(intensity=0.1)])  # as commands spell it
        'noisytune(intensity=0.1)'
    """

    name: ClassVar[str] = "noisytune"
    summary: ClassVar[str] = "adds a little noise to the pre-trained weights, once"

    intensity: float = 0.15
    """Lambda: the width of the noise, in standard deviations of each weight."""
    biases: bool = True
    """Include biases and normalisation (one-dimensional parameters)."""

    def __post_init__(self) -> None:
        if not 0 <= self.intensity < float("inf"):
            raise HoldfastError(f"noisytune(intensity={self.intensity!r}): intensity must be a number of at least 0")

    @property
    def requires(self) -> Requires:
        """The body's weights, all of which are then to be tuned."""
        return Requires(uses={Part.BODY, Part.TRAINED}, order=Order.MODEL)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that get noise; nothing is kept.

        Raises ``HoldfastError`` when the model trains adapters, or no pre-trained weight.
        """
        return Footprint(self._noised(model), f"moved once by up to {self.intensity / 2:g} of its spread")

    @torch.no_grad()
    def start(self, model: nn.Module, plan: Plan) -> MethodSession[Any]:
        """Add the noise. A training that is resumed loads its weights over it."""
        if self.intensity:
            generator = own_generator(self.name, plan.seed)
            for weight in self._noised(model).values():
                if not weight.is_meta:
                    # Added in float32 and rounded once.
                    weight.copy_(weight_noise(weight, self.intensity, generator) + weight)
        return super().start(model, plan)

    def _noised(self, model: nn.Module) -> dict[str, nn.Parameter]:
        refuse_adapters(model, self.name)
        body = body_parameters(model, self.name)
        weights = {name: p for name, p in body.items() if p.requires_grad and (self.biases or p.dim() > 1)}
        if not weights:
            raise HoldfastError(
                f"noisytune moves the pre-trained weights, and {type(model).__name__} trains none below its head: "
                "unfreeze some, or leave noisytune out"
            )
        return weights

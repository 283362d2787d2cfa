"""SMART: keep the prediction still under the worst small perturbation, and near that of the averaged model."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method, MethodSession, Plan
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.weight_average import average_bytes
from holdfast.methods.requires import Footprint, Part, Requires


@dataclass(frozen=True)
class SMART(Method):
    """Smoothness-inducing adversarial regularisation with Bregman proximal points (Jiang et al. 2020).

    Adds ``weight`` * l_s(f(x), f(x + delta)) + ``proximal`` * l_s(f(x; theta), f(x; average)) to the loss. l_s is the
    symmetric KL, KL(P||Q) + KL(Q||P), or the squared difference for regression. delta starts as N(0, sigma^2) on the
    input embeddings and takes ``steps`` of projected gradient ascent on l_s, the clean prediction held fixed. The
    average is that of the weights over the optimizer steps, theta-bar_t = (1 - beta) theta_t + beta theta-bar_{t-1}.

    Ours are: |g|_inf over each sequence, the averaged model without dropout, and the settings of beta.
    The published class has no averaged model and no radius, see ``radius`` and ``gradient``.

    Example:
        >>> engine = Engine(model, [SMART(steps=2)], optimizer=make_optimizer)
        >>> loss = engine.loss(batch)
        >>> sorted(engine.terms)
        ['smart', 'task']
    """

    name: ClassVar[str] = "smart"
    summary: ClassVar[str] = "keeps predictions still under the worst small perturbation, and near the averaged model's"

    weight: float = 1.0
    """Of the smoothness term; 0 leaves it out, with its search."""
    steps: int = 1
    """Steps of ascent."""
    step_size: float = 1e-3
    """Length of such a step in the largest entry."""
    radius: float | None = 1e-5
    """Largest entry of delta. None: as the published class, which adds step_size times the gradient as it is and then
    divides each token's vector by its largest entry, which is about 1 then."""
    sigma: float = 1e-5
    """Standard deviation of the start."""
    gradient: Literal["both", "detached"] = "both"
    """Of the smoothness term: that of the symmetric KL, or "detached", each prediction taken as a constant target of
    the other, as published."""
    same_dropout: bool = False
    """The perturbed copy and the search have the clean rows' dropout masks, so that delta alone tells them apart."""
    proximal: float = 1.0
    """Weight of the proximal-point term; 0 leaves it out, with the averaged weights."""
    momentum: float = 0.99
    """beta in the first tenth of the updates."""
    late_momentum: float = 0.999
    """beta after it; where the length of the training is not known, ``momentum`` holds throughout."""

    def __post_init__(self) -> None:
        for field in ("weight", "step_size", "radius", "sigma", "proximal"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < float("inf"):
                raise HoldfastError(f"smart({field}={value!r}): {field} must be a number of at least 0")
        if self.steps < 1:
            raise HoldfastError(f"smart(steps={self.steps}): there must be at least 1 step; r3f has noise alone")
        if self.gradient not in ("both", "detached"):
            raise HoldfastError(f"smart(gradient={self.gradient!r}): gradient is both or detached")
        for field in ("momentum", "late_momentum"):
            value = getattr(self, field)
            if not 0 <= value < 1:
                raise HoldfastError(f"smart({field}={value!r}): {field} must be at least 0 and below 1")

    @property
    def requires(self) -> Requires:
        """The body, which runs on the copies, down to its inputs, and the norm over each text."""
        return Requires(uses={Part.BODY, Part.INPUT_GRADIENTS, Part.TEXTS}, outputs=True, views=True)

    def check(self, model: nn.Module) -> Footprint:
        """Return the weights that are averaged.

        Raises ``HoldfastError`` when the model does not say where its input embedding is.
        """
        input_embedding(model)
        if self.proximal == 0:
            return Footprint()
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        return Footprint(weights, "averaged over the steps, beside the model", average_bytes(weights))

    def start(self, model: nn.Module, plan: Plan) -> MethodSession["SMART"]:
        """Warn of a perturbation that rounds away."""
        from holdfast.methods.smart.session import SMARTSession

        return SMARTSession(self, model, plan)

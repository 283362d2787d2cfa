"""SMART: keep the prediction still under the worst small perturbation, and near that of the averaged model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.base import Forward, Kind, Method, Perturb, Plan, Probe, Selection, Step, View, Weights
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.methods.parts.model.freezing import BODY, INPUTS
from holdfast.methods.parts.noise.ascent import LIFT, Delta, over_rows, precise, reached, slopes
from holdfast.methods.parts.noise.rounding import warn_of_lost_embedding_noise
from holdfast.methods.parts.outputs import logits_of
from holdfast.methods.parts.padding import TEXTS
from holdfast.methods.parts.weight_average import WeightAverage, average_bytes


def detached_divergence(kind: Kind, a: Tensor, b: Tensor) -> Tensor:
    """Return ``divergence(kind, a, b)`` with the gradient of KL(sg P || Q) + KL(sg Q || P), sg stopping gradient.

    Each prediction is pulled to the other as to a constant target. For regression it is the squared difference.
    """
    if kind == "regression":
        return divergence(kind, a, b)
    a, b = a.float(), b.float()
    apart = a.sigmoid() - b.sigmoid() if kind == "multi_label" else a.softmax(-1) - b.softmax(-1)
    return (apart.detach() * (a - b)).sum(-1)


@torch.no_grad()
def ascend(delta: Tensor, gradient: Tensor, step_size: float, radius: float) -> Tensor:
    """Return the projection onto |.|_inf <= radius of delta + step_size * g / |g|_inf, the norm over each sequence.

    ``delta``, ``gradient``: (sequences, tokens, width). A sequence whose gradient is 0 is projected only.
    Jiang et al. 2020, the update of the inner maximisation.
    """
    norm = gradient.abs().flatten(1).amax(1).clamp_min(torch.finfo(gradient.dtype).tiny)
    return (delta + step_size * gradient / norm.view(-1, 1, 1)).clamp_(-radius, radius)


@torch.no_grad()
def ascend_published(delta: Tensor, gradient: Tensor, step_size: float) -> Tensor:
    """Return delta + step_size * g with each token's vector divided by its largest entry, as in the published code."""
    moved = delta + step_size * gradient
    return moved / (moved.abs().amax(-1, keepdim=True) + 1e-6)


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
    def uses(self) -> frozenset[str]:
        """The body, which runs on the copies, down to its inputs, and the norm over each text."""
        return frozenset({BODY, INPUTS, TEXTS})

    def check(self, model: nn.Module) -> None:
        """Raise ``HoldfastError`` when the model does not say where its input embedding is."""
        input_embedding(model)

    def selection(self, model: nn.Module) -> Selection | None:
        """Return the weights that are averaged."""
        if self.proximal == 0:
            return None
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        return Selection(weights, "averaged over the steps, beside the model", average_bytes(weights))

    def prepare(self, model: nn.Module, plan: Plan) -> None:
        """Warn of a perturbation that rounds away."""
        self.memory["training"] = True
        if self.weight and self.radius is not None:
            warn_of_lost_embedding_noise(model, self.radius, self.name, "a larger radius")

    def views(self, step: Step) -> Sequence[View]:
        """The perturbed copy, and one by the averaged weights."""
        found = []
        if self.weight:
            found.append(View(find=self._find, same_dropout=self.same_dropout))
        if self.proximal:
            self._average(step.model)
            found.append(View(grad=False, weights=self.memory["weights"]))
        return found

    def penalty(self, forward: Forward) -> Tensor | None:
        """Both terms, each the mean over rows or labelled positions."""
        clean, views = logits_of(forward.outputs, self.name), iter(forward.views)
        value = None
        if self.weight:
            measure = divergence if self.gradient == "both" else detached_divergence
            apart = measure(forward.kind, clean, logits_of(next(views), self.name))
            value = self.weight * _mean(apart, forward)
        if self.proximal:
            apart = divergence(forward.kind, clean, logits_of(next(views), self.name))
            term = self.proximal * _mean(apart, forward)
            value = term if value is None else value + term
        return value

    def on_update(self, step: Step) -> None:
        """Move the averaged weights."""
        if self.proximal:
            late = step.total is not None and step.index >= 0.1 * step.total
            self._average(step.model).update(self.late_momentum if late else self.momentum)

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the averaged weights."""
        return self._average(model).state_dict() if self.proximal and "training" in self.memory else {}

    def load_state_dict(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Restore the averaged weights."""
        if self.proximal:
            self._average(model).load_state_dict(state)

    def finish(self, model: nn.Module) -> None:
        """Let go of the averaged weights."""
        self.memory.clear()

    def _average(self, model: nn.Module) -> WeightAverage:
        if "average" not in self.memory:
            average = WeightAverage(model)
            self.memory.update(average=average, weights=Weights(average.values))
        found: WeightAverage = self.memory["average"]
        return found

    def _find(self, probe: Probe) -> Perturb:
        clean = logits_of(probe.outputs, self.name).detach()
        counted = _labelled(probe, clean)
        delta = Delta(lambda e: torch.randn_like(e, dtype=precise(e)) * self.sigma)
        for _ in range(self.steps):
            logits = logits_of(probe(delta.added_alone, same_dropout=self.same_dropout), self.name)
            slope = _slope(probe.kind, clean, logits, counted)
            # The largest entry of each row is made LIFT, as slopes of 1e-5 would vanish in half precision.
            peak = slope.abs().reshape(len(slope), -1).amax(1)
            lifted = slope * over_rows(LIFT / peak.clamp_min(torch.finfo(peak.dtype).tiny * LIFT), slope)
            found = slopes(logits, [delta.value], self.name, lifted.to(logits.dtype))
            # A sequence whose gradient overflows stays where it is.
            gradient = reached(found[0], self.name).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            if self.radius is None:
                gradient = gradient * over_rows(peak / LIFT, gradient)
                delta.move(ascend_published(delta.value, gradient, self.step_size))
            else:
                delta.move(ascend(delta.value, gradient, self.step_size, self.radius))
        return delta.added_fixed


def _slope(kind: Kind, clean: Tensor, logits: Tensor, counted: Tensor | None) -> Tensor:
    """Return the gradient of the divergence, in float32, by ``logits``."""
    leaf = logits.detach().float().requires_grad_()
    apart = divergence(kind, clean, leaf)
    (slope,) = torch.autograd.grad((apart if counted is None else apart * counted).sum(), leaf)
    return slope


def _labelled(probe: Probe, logits: Tensor) -> Tensor | None:
    """Return which positions have a label, (rows, positions): those whose logits the task's loss depends on."""
    if probe.kind != "tokens":
        return None
    even = torch.zeros_like(logits, dtype=torch.float32).requires_grad_()
    loss = probe.task_loss(even)
    if loss is None:
        return None
    (slope,) = torch.autograd.grad(loss, even)
    return slope.any(-1)


def _mean(apart: Tensor, forward: Forward) -> Tensor:
    if forward.token_mask is None:
        return apart.sum() / forward.rows
    return (apart * forward.token_mask).sum() / forward.tokens

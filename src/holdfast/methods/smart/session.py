"""The state of a training with SMART, and the two terms it adds."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial

from torch import Tensor, nn

from holdfast.methods.base import MethodSession, Plan
from holdfast.methods.forward import Forward, Step, View, Weights
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.noise.rounding import warn_of_lost_embedding_noise
from holdfast.methods.parts.outputs import logits_of
from holdfast.methods.parts.weight_average import WeightAverage
from holdfast.methods.smart.detached_divergence import detached_divergence
from holdfast.methods.smart.method import SMART
from holdfast.methods.smart.search import worst_perturbation


class SMARTSession(MethodSession[SMART]):
    """The averaged weights."""

    def __init__(self, method: SMART, model: nn.Module, plan: Plan) -> None:
        super().__init__(method, model, plan)
        if method.weight and method.radius is not None:
            warn_of_lost_embedding_noise(model, method.radius, method.name, "a larger radius")

    @cached_property
    def average(self) -> WeightAverage:
        """The averaged weights, begun at the first step, when other methods have given the model theirs."""
        return WeightAverage(self.model)

    def views(self, step: Step) -> Sequence[View]:
        """The perturbed copy, and one by the averaged weights."""
        method = self.method
        views = []
        if method.weight:
            views.append(View(find=partial(worst_perturbation, method), same_dropout=method.same_dropout))
        if method.proximal:
            views.append(View(grad=False, weights=Weights(self.average.values)))
        return views

    def loss(self, forward: Forward) -> Tensor | None:
        """Both terms, each the mean over rows or labelled positions."""
        method = self.method
        clean, views = logits_of(forward.outputs, method.name), iter(forward.views)
        value = None
        if method.weight:
            measure = divergence if method.gradient == "both" else detached_divergence
            apart = measure(forward.kind, clean, logits_of(next(views), method.name))
            value = method.weight * _mean(apart, forward)
        if method.proximal:
            apart = divergence(forward.kind, clean, logits_of(next(views), method.name))
            term = method.proximal * _mean(apart, forward)
            value = term if value is None else value + term
        return value

    def after_step(self, step: Step) -> None:
        """Move the averaged weights."""
        if self.method.proximal:
            late = step.total is not None and step.index >= 0.1 * step.total
            self.average.update(self.method.late_momentum if late else self.method.momentum)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the averaged weights."""
        return self.average.state_dict() if self.method.proximal else {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the averaged weights."""
        if self.method.proximal:
            self.average.load_state_dict(state)


def _mean(apart: Tensor, forward: Forward) -> Tensor:
    if forward.token_mask is None:
        return apart.sum() / forward.rows
    return (apart * forward.token_mask).sum() / forward.tokens

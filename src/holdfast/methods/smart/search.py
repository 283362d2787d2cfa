"""The search for the worst small perturbation of the input embeddings."""

import torch
from torch import Tensor

from holdfast.methods.forward import Kind, Perturb, TrialForward
from holdfast.methods.parts.divergence import divergence
from holdfast.methods.parts.noise.ascent import LIFT, Delta, over_rows, precise, reached, slopes
from holdfast.methods.parts.outputs import logits_of
from holdfast.methods.smart.ascent import ascend, ascend_published
from holdfast.methods.smart.method import SMART


def worst_perturbation(method: SMART, trial: TrialForward) -> Perturb:
    """Return the perturbation that ``method.steps`` of ascent on the divergence from the clean prediction end at."""
    clean = logits_of(trial.outputs, method.name).detach()
    counted = _labelled(trial, clean)
    delta = Delta(lambda e: torch.randn_like(e, dtype=precise(e)) * method.sigma)
    for _ in range(method.steps):
        logits = logits_of(trial(delta.added_alone, same_dropout=method.same_dropout), method.name)
        slope = _slope(trial.kind, clean, logits, counted)
        # The largest entry of each row is made LIFT, as slopes of 1e-5 would vanish in half precision.
        peak = slope.abs().reshape(len(slope), -1).amax(1)
        lifted = slope * over_rows(LIFT / peak.clamp_min(torch.finfo(peak.dtype).tiny * LIFT), slope)
        (by_delta,) = slopes(logits, [delta.value], method.name, lifted.to(logits.dtype))
        # A sequence whose gradient overflows stays where it is.
        gradient = reached(by_delta, method.name).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        if method.radius is None:
            gradient = gradient * over_rows(peak / LIFT, gradient)
            delta.move(ascend_published(delta.value, gradient, method.step_size))
        else:
            delta.move(ascend(delta.value, gradient, method.step_size, method.radius))
    return delta.added_fixed


def _slope(kind: Kind, clean: Tensor, logits: Tensor, counted: Tensor | None) -> Tensor:
    """Return the gradient of the divergence, in float32, by ``logits``."""
    leaf = logits.detach().float().requires_grad_()
    apart = divergence(kind, clean, leaf)
    (slope,) = torch.autograd.grad((apart if counted is None else apart * counted).sum(), leaf)
    return slope


def _labelled(trial: TrialForward, logits: Tensor) -> Tensor | None:
    """Return which positions have a label, (rows, positions): those whose logits the task's loss depends on."""
    if trial.kind != "tokens":
        return None
    even = torch.zeros_like(logits, dtype=torch.float32).requires_grad_()
    loss = trial.task_loss(even)
    if loss is None:
        return None
    (slope,) = torch.autograd.grad(loss, even)
    return slope.any(-1)

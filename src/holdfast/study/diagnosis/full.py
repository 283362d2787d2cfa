"""Tuning the whole model: curvature at its start, and a short plain tuning with the settings given."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.modes import evaluating, same_modes
from holdfast.records.diagnosis import FullTuning
from holdfast.records.run import TrainingSettings
from holdfast.stability.bounds import convex_tuning_bound, full_tuning_bound
from holdfast.stability.curvature import hessian_curvature, hessian_product, labelled_loss, trainable
from holdfast.stability.estimators import gradient_norms
from holdfast.study.diagnosis.inputs import Inputs
from holdfast.training.engine import Engine

ROWS = 16
"""Rows of the fixed batch."""
CURVATURE_ROWS = 8
"""Of them for the curvature: a product with the Hessian costs what ten forward passes do."""
PRODUCTS = 12
"""Steps of Lanczos' method: on MiniLM the largest eigenvalue stood still from 10 on; after 6 it was 10 % below."""


def measure_full(inputs: Inputs, steps: int, progress: Callable[[int, int], None] | None = None) -> FullTuning:
    """Measure curvature and gradients of the model on some training rows, then tune it for ``steps`` steps.

    The tuning is that of a run of so many steps with the settings and seeds of ``inputs.spec``, in float32. The model
    ends with the weights that it came with. ``progress`` is told (done, of). Raises ``HoldfastError``, and where the
    loss stops being finite.
    """
    tell = progress or (lambda done, total: None)
    spec, model = inputs.spec, inputs.model
    total = PRODUCTS + 3 + steps
    draw = torch.Generator().manual_seed(spec.seed)
    rows = torch.randperm(len(inputs.data), generator=draw)[:ROWS].tolist()
    batch = inputs.batch(rows)
    parameters = trainable(model)
    start = [parameter.detach().clone() for parameter in parameters]
    loss_start, slope = _loss_and_gradient(model, batch)
    done = 0

    def count(module: nn.Module, given: Any) -> Tensor:
        nonlocal done
        done += 1
        tell(min(done, PRODUCTS), total)
        return labelled_loss(module, given)

    curvature = hessian_curvature(
        model, [inputs.batch(rows[:CURVATURE_ROWS])], loss=count, steps=PRODUCTS, seed=spec.seed
    )
    before = gradient_norms(model, [inputs.batch([row]) for row in rows]).lipschitz
    tell(PRODUCTS + 1, total)
    tune(inputs, steps, lambda step: tell(PRODUCTS + 1 + step, total))
    after = gradient_norms(model, [inputs.batch([row]) for row in rows]).lipschitz
    loss_end = _loss_and_gradient(model, batch, gradient=False)[0]
    moved = [parameter.detach() - origin for parameter, origin in zip(parameters, start, strict=True)]
    with torch.no_grad():
        torch._foreach_copy_(parameters, start)
    with evaluating(model):
        image = hessian_product(model, [batch], moved)
    distance = _norm(moved)
    if not all(map(math.isfinite, (loss_end, distance, after))):
        raise HoldfastError(
            f"the model broke within {steps} steps at learning rate {spec.settings.learning_rate:g}: "
            "that is too high a rate; lower --learning-rate"
        )
    tell(total, total)
    bound, name, notes = _bound(
        len(inputs.data), steps, max(before, after), curvature.largest, curvature.least, distance, spec.settings
    )
    return FullTuning(
        rows=len(rows),
        curvature_rows=min(len(rows), CURVATURE_ROWS),
        learning_rate=spec.settings.learning_rate,
        sharpness=curvature.largest,
        least_curvature=curvature.least,
        gradient_start=before,
        gradient_end=after,
        steps=steps,
        loss_start=loss_start,
        loss_end=loss_end,
        loss_expanded=loss_start + _inner(slope, moved) + _inner(image, moved) / 2,
        distance=distance,
        weight_norm=_norm(start),
        bound=bound,
        bound_name=name,
        bound_notes=notes,
    )


def tune(inputs: Inputs, steps: int, on_step: Callable[[int], None]) -> None:
    """Tune the model for ``steps`` optimizer steps as a plain run of so many would; ``told`` gets each one."""
    from transformers import get_scheduler

    spec, model = inputs.spec, inputs.model
    settings = spec.settings
    decays = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.requires_grad and parameter.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decays, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        betas=(0.9, settings.adam_beta2),
        eps=settings.adam_epsilon,
    )
    warmup = math.ceil(steps * settings.warmup) if settings.warmup < 1 else int(settings.warmup)
    scheduler = get_scheduler(settings.schedule, optimizer, num_warmup_steps=warmup, num_training_steps=steps)
    torch.manual_seed(spec.seed)
    engine = Engine(
        model,
        optimizer=optimizer,
        scheduler=scheduler,
        total_steps=steps,
        accumulation=settings.accumulation,
        max_grad_norm=settings.max_grad_norm or None,
        seed=spec.seed,
    )
    order = _orders(len(inputs.data), settings.batch_size, spec.data_seed)
    try:
        with same_modes(model):
            model.train()
            for step in range(steps):
                for _ in range(settings.accumulation):
                    engine.backward(engine.loss(inputs.batch(next(order))))
                    engine.step()
                on_step(step + 1)
    finally:
        engine.finish()
        model.zero_grad(set_to_none=True)


def _orders(rows: int, batch_size: int, seed: int) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(rows, generator=generator).tolist()
        for first in range(0, rows, batch_size):
            yield order[first : first + batch_size]


def _loss_and_gradient(model: nn.Module, batch: Any, gradient: bool = True) -> tuple[float, list[Tensor]]:
    with evaluating(model), torch.set_grad_enabled(gradient):
        loss = labelled_loss(model, batch)
        slope = torch.autograd.grad(loss, trainable(model), materialize_grads=True) if gradient else ()
    return float(loss.detach()), list(slope)


def _bound(
    n: int,
    steps: int,
    lipschitz: float,
    smoothness: float,
    curvature: float,
    distance: float,
    settings: TrainingSettings,
) -> tuple[float | None, Literal["full_tuning_bound", "convex_tuning_bound"] | None, tuple[str, ...]]:
    """Return the bound that these numbers allow, its name, and what is to be said about it."""
    worth = "it is for gradient descent at this rate, and Adam takes other steps: read its trend, not its level"
    if curvature > 0:
        return (
            full_tuning_bound(n, lipschitz, smoothness, curvature, distance),
            "full_tuning_bound",
            (f"the paper's bound, with curvature seen on a few rows; {worth}",),
        )
    why = (
        f"the paper's bound asks for curvature above 0 at the pre-trained weights, and the least found is "
        f"{curvature:.2g}; so the form for few steps stands here (ours), which asks for none below 0: "
        "its assumption fails here too, if less"
    )
    try:
        bound = convex_tuning_bound(steps, n, lipschitz, smoothness, distance, settings.learning_rate)
    except HoldfastError as error:
        return None, None, (why, f"nor does that form hold: {error}")
    return bound, "convex_tuning_bound", (why, worth)


def _norm(tensors: list[Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(tensors)).norm())


def _inner(a: list[Tensor], b: list[Tensor]) -> float:
    return float(torch.stack([torch.sum(one * other) for one, other in zip(a, b, strict=True)]).sum())

"""One method at work: a model and an engine of its own, taken forward step by step."""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from holdfast import Engine
from holdfast.methods import parse
from holdfast.methods.base import Method, Step
from measuring.setup import Setup, adamw

_HOOKS = ("on_gradients", "on_clipped_gradients", "on_update")


class Arm:
    """A method in a training of ``total_steps`` optimizer steps."""

    def __init__(
        self, method: str, setup: Setup, total_steps: int, data: Iterable[Mapping[str, Any]] | None = None
    ) -> None:
        self.setup = setup
        self.total_steps = total_steps
        model, methods = setup.model(), parse(method)
        self.given: list[Tensor] = [*model.parameters(), *model.buffers()]
        """The plain model's own tensors."""
        setup.synchronise()
        began = time.perf_counter()
        self.engine = Engine(
            model,
            methods,
            optimizer=adamw,
            total_steps=total_steps,
            accumulation=setup.accumulation,
            scaler=torch.amp.GradScaler(setup.device.type) if setup.precision == "fp16" else None,
            data=setup.batches[:1] if data is None else data,
        )
        setup.synchronise()
        self.preparing = time.perf_counter() - began
        """Seconds that building the engine took, the methods' preparation included."""
        self.gradients: list[tuple[torch.nn.Parameter, Tensor]] = []
        """Those that every step of a walk starts from."""
        self._batches = itertools.cycle(setup.batches)

    @property
    def acts(self) -> bool:
        """Whether a method does anything between the backward passes."""
        kinds = [type(method) for method in self.engine.methods]
        return any(getattr(kind, hook) is not getattr(Method, hook) for kind in kinds for hook in _HOOKS)

    def forward_backward(self) -> None:
        """Do the passes of one micro-batch."""
        with self.setup.arithmetic():
            loss = self.engine.loss(next(self._batches))
        self.engine.backward(loss)

    def train(self, steps: int) -> float:
        """Do whole optimizer steps; return the seconds they took."""
        self.setup.synchronise()
        began = time.perf_counter()
        for _ in range(steps * self.setup.accumulation):
            self.forward_backward()
            self.engine.step()
        self.setup.synchronise()
        return time.perf_counter() - began

    def walk(self, until: int, watch: Callable[[], None] = lambda: None) -> dict[int, float]:
        """Go on to step ``until`` with the methods' hooks alone; return the seconds they took at each step.

        Forward and backward passes are left out and every step gets the same gradients, so that a whole training,
        with all that a method does rarely, takes little time. ``watch`` is called after the methods changed the
        gradients and after they followed the update, untimed.
        """
        engine, seconds = self.engine, {}
        if self.acts and not self.gradients and engine.steps < until:
            self.forward_backward()
            self.gradients = [(p, p.grad.clone()) for p in engine.model.parameters() if p.grad is not None]
        for index in range(engine.steps, until):
            step = Step(index, engine.total_steps, engine.model, engine.optimizer)
            seconds[index] = self._hooks(step, watch) if self.acts else 0.0
            engine.steps += 1
        engine.model.zero_grad(set_to_none=True)
        return seconds

    def _hooks(self, step: Step, watch: Callable[[], None]) -> float:
        for parameter, gradient in self.gradients:
            parameter.grad = gradient.clone()
        methods = self.engine.methods
        self.setup.synchronise()
        began = time.perf_counter()
        for method in methods:
            method.on_gradients(step)
        for method in methods:
            method.on_clipped_gradients(step)
        self.setup.synchronise()
        took = time.perf_counter() - began
        watch()
        if not self.engine.optimizer.state:
            # Methods may read what it keeps.
            self.engine.optimizer.step()
        self.setup.synchronise()
        began = time.perf_counter()
        for method in methods:
            method.on_update(step)
        self.setup.synchronise()
        took += time.perf_counter() - began
        watch()
        return took

    def close(self) -> None:
        """Let the methods clean up, and free what they held."""
        self.engine.finish()
        self.gradients.clear()

"""One method at work: a model and an engine of its own, taken forward step by step."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from holdfast import Engine
from holdfast.methods import Step, parse
from holdfast.methods.base import MethodSession
from measuring.setup import Setup, adamw
from measuring.training import Training

_HOOKS = ("on_gradients", "on_clipped_gradients", "after_step")


class Arm(Training):
    """A method in a training of ``total_steps`` optimizer steps; what it trains first is left out."""

    def __init__(
        self, method: str, setup: Setup, total_steps: int, data: Iterable[Mapping[str, Any]] | None = None
    ) -> None:
        super().__init__(setup, total_steps)
        model, methods = setup.model(), parse(method)
        self.given = [*model.parameters(), *model.buffers()]
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
            # Stages are priced apart (measuring/stages.py): they take longer than all the rest.
            resumed=True,
        )
        setup.synchronise()
        self.preparing = time.perf_counter() - began
        self.model, self.optimizer = self.engine.model, self.engine.optimizer

    @property
    def acts(self) -> bool:
        """Whether a method does anything between the backward passes."""
        kinds = [type(session) for session in self.engine.sessions]
        return any(getattr(kind, hook) is not getattr(MethodSession, hook) for kind in kinds for hook in _HOOKS)

    def forward_backward(self) -> None:
        """Do the passes of one micro-batch."""
        with self.setup.arithmetic():
            loss = self.engine.loss(next(self.batches))
        self.engine.backward(loss)

    def step(self) -> None:
        """Close a micro-batch; the last of an optimizer step updates the weights."""
        self.engine.step()

    def meet_all(self) -> None:
        """Show the model every batch once, for methods that keep what the body gives for a row."""
        for _ in self.setup.batches:
            self.forward_backward()
        self.engine.model.zero_grad(set_to_none=True)

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
        # Made once: making them takes longer than filling them.
        self.given_gradients = [torch.empty_like(gradient) for _, gradient in self.gradients]
        for index in range(engine.steps, until):
            step = Step(index, engine.total_steps, engine.optimizer)
            seconds[index] = self._hooks(step, watch) if self.acts else 0.0
            engine.steps += 1
        engine.model.zero_grad(set_to_none=True)
        self.given_gradients.clear()
        return seconds

    def skip(self, until: int) -> None:
        """Go on to step ``until`` without doing anything."""
        self.engine.steps = max(self.engine.steps, until)

    def _hooks(self, step: Step, watch: Callable[[], None]) -> float:
        for (parameter, gradient), own in zip(self.gradients, self.given_gradients, strict=True):
            parameter.grad = own.copy_(gradient)
        sessions = self.engine.sessions
        self.setup.synchronise()
        began = time.perf_counter()
        for session in sessions:
            session.on_gradients(step)
        for session in sessions:
            session.on_clipped_gradients(step)
        self.setup.synchronise()
        took = time.perf_counter() - began
        watch()
        if not self.engine.optimizer.state:
            # Methods may read what it keeps.
            self.engine.optimizer.step()
        self.setup.synchronise()
        began = time.perf_counter()
        for session in sessions:
            session.after_step(step)
        self.setup.synchronise()
        took += time.perf_counter() - began
        watch()
        return took

    def close(self) -> None:
        """Let the methods clean up, and free what they held."""
        # Those that choose by a score at the end get one; what that takes depends on the validation rows.
        self.engine.finish(score=lambda: 0.0)
        self.gradients.clear()

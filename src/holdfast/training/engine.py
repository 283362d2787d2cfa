"""Methods in a hand-written training loop.

The loop of a step, in order::

    loss = engine.loss(batch)         views are asked for, one stacked forward, task loss + penalties
    engine.backward(loss)             loss / accumulation, scaled for fp16
    engine.step()                     every accumulation-th call:
                                          gradients unscaled; skipped when one is not finite
                                          method.on_gradients
                                          clipping
                                          method.on_clipped_gradients
                                          optimizer.step
                                          method.on_update
                                          scheduler.step, zero_grad
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods import check_combination, describe
from holdfast.methods.base import Method, Plan, SelfSupervised, Step, TrainingData
from holdfast.methods.parsing import check_arguments
from holdfast.training.head import named
from holdfast.training.language_models import objective_of
from holdfast.training.objective import Call, Objective
from holdfast.training.self_supervised import Text, log_progress, retrain
from holdfast.training.traits import measures, trains_first

logger = logging.getLogger(__name__)

CarryOut = Callable[[Method, SelfSupervised], None]
"""Does a stage of a method."""


class Engine:
    """Trains a model with a list of methods in any loop.

    ``model``: the plain module, or it wrapped by DDP. ``optimizer``: an optimizer over its parameters, or a
    function that makes one of an iterable of parameters; the function is called after the methods prepared the
    model, and is needed where they replace parameters. ``accumulation``: micro-batches an optimizer step.
    ``max_grad_norm``: gradients are clipped to this global norm; None switches clipping off. ``scheduler`` and
    ``scaler`` (``torch.amp.GradScaler``, for fp16) are stepped along when given. ``data``: the training batches
    (a data loader), needed by methods that look at them or train on their text first; the latter also want the
    model's ``tokenizer``, and train here in the constructor, unless the training is ``resumed``.
    ``stacked=False`` runs a batch's copies in turn: half the activation memory, more forward passes.

    Raises ``HoldfastError`` when methods cannot work together or on this model.
    """

    def __init__(
        self,
        model: nn.Module,
        methods: Iterable[Method] = (),
        *,
        optimizer: torch.optim.Optimizer | Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        total_steps: int | None = None,
        accumulation: int = 1,
        max_grad_norm: float | None = 1.0,
        seed: int = 0,
        scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
        scaler: torch.amp.GradScaler | None = None,
        data: Iterable[Mapping[str, Any]] | None = None,
        tokenizer: Any = None,
        resumed: bool = False,
        stacked: bool = True,
    ) -> None:
        if accumulation < 1:
            raise HoldfastError(f"accumulation={accumulation}: it counts micro-batches and must be at least 1")
        self._call: Call = model
        self.model = unwrap(model)
        given = {id(p) for p in self.model.parameters()}
        self._data = data
        self.accumulation = accumulation
        self.methods = prepare(
            self.model,
            methods,
            Plan(total_steps, seed),
            None if resumed else functools.partial(self._carry_out, tokenizer=tokenizer, seed=seed),
        )
        if model is not self.model and (problem := _ddp_problem(model, given)):
            finish(self.model, self.methods)
            raise HoldfastError(f"{describe(self.methods)}: {problem}")
        if isinstance(optimizer, torch.optim.Optimizer):
            check_covered(self.model, optimizer, given)
            self.optimizer = optimizer
        else:
            self.optimizer = optimizer(p for p in self.model.parameters() if p.requires_grad)
        self.scheduler = scheduler
        self.scaler = scaler
        self.max_grad_norm = max_grad_norm
        self.total_steps = total_steps
        self.steps = 0
        """Optimizer steps done, skipped ones not counted."""
        self.skipped = 0
        """Optimizer steps left out because a gradient was not finite."""
        self._micro = 0
        self._to_measure = [method for method in self.methods if measures(method)]
        if self._to_measure and data is None:
            raise HoldfastError(
                f"{self._to_measure[0].name} looks at the training data before it trains: pass Engine(..., data=loader)"
            )
        self._terms: dict[str, Tensor] = {}
        self._objective = Objective(self.model, self.methods, stacked=stacked)

    @property
    def terms(self) -> dict[str, float]:
        """The last loss by part, each as it entered the loss: ``task`` and one entry a method."""
        return {name: float(value) for name, value in self._terms.items()}

    def loss(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the scalar loss of one micro-batch, the mean over its rows.

        ``batch``: the model's keyword arguments, with ``labels``. In ``model.eval()`` it is the plain task
        loss of one clean forward.
        """
        if "labels" not in batch:
            raise HoldfastError(no_labels(batch))
        step = self._step_now()
        if not self.model.training:
            task = self._plain_loss(batch, self._call)
            self._terms = {"task": task.detach()}
            return task
        if self._to_measure:
            assert self._data is not None
            methods, self._to_measure = self._to_measure, []
            with _same_order(self._data):
                measure(self.model, methods, TrainingData(functools.partial(self._moved, self._data), self._plain_loss))
        result = self._objective.run(self._call, batch, step)
        terms = {"task": result.outputs["loss"], **self._objective.penalties(result, batch, step)}
        self._terms = {name: value.detach() for name, value in terms.items()}
        return torch.stack([value.float() for value in terms.values()]).sum()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss`` to that of the other micro-batches of this optimizer step."""
        loss = loss / self.accumulation
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def step(self) -> bool:
        """Close a micro-batch; at the last of an optimizer step, update the weights. Return whether they moved."""
        self._micro += 1
        if self._micro % self.accumulation:
            return False
        moved = self._update()
        self.optimizer.zero_grad(set_to_none=True)
        return moved

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on, beside the states of model, optimizer, scheduler and scaler.

        The random generators' states are part of it, since dropout and noise draw from them. Save it at the
        end of an optimizer step, together with ``model.state_dict()``.
        """
        return {
            "steps": self.steps,
            "skipped": self.skipped,
            "micro": self._micro,
            "described": describe(self.methods),
            "methods": {method.name: method.state_dict(self.model) for method in self.methods},
            "rng": torch.get_rng_state(),
            "accelerator_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``'s result: restores the methods' state, counters and random generators.

        Load the model's and the optimizer's own states first. Raises ``HoldfastError`` when ``state`` was
        written with other methods or settings of theirs.
        """
        if state["described"] != describe(self.methods):
            raise HoldfastError(
                f"the state was saved with methods {state['described']}, this engine has {describe(self.methods)}: "
                "build it with the same methods"
            )
        for method in self.methods:
            method.load_state_dict(self.model, state["methods"][method.name])
        if state["micro"]:
            self._to_measure = []
        self.steps, self.skipped, self._micro = state["steps"], state["skipped"], state["micro"]
        torch.set_rng_state(state["rng"])
        if state["accelerator_rng"]:
            torch.cuda.set_rng_state_all(state["accelerator_rng"])

    def plain_state_dict(self) -> dict[str, Tensor]:
        """Return the state dict of the plain model, for ``model.save_pretrained(folder, state_dict=...)``."""
        return plain_state(self.model, self.methods)

    def finish(self) -> None:
        """Leave the model a plain one: undo all surgery and remove the hook. Call it once, after training."""
        finish(self.model, self.methods)
        self._objective.remove()

    def _plain_loss(self, batch: Mapping[str, Any], call: Call | None = None) -> Tensor:
        loss: Tensor = named(self.model, (call or self.model)(**batch), "loss")["loss"]
        return loss

    def _carry_out(self, method: Method, stage: SelfSupervised, *, tokenizer: Any, seed: int) -> None:
        if self._data is None:
            raise HoldfastError(f"{method.name} trains on the texts first: pass Engine(..., data=loader)")
        data = self._data
        text = Text(functools.partial(self._moved, data), _length(data), self.accumulation, tokenizer, nullcontext)
        with _same_order(data):
            retrain(self.model, stage, text, seed, method.name, log_progress)

    def _moved(self, data: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        device = next(self.model.parameters()).device
        for batch in data:
            yield {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}

    def _step_now(self) -> Step:
        return Step(self.steps, self.total_steps, self.model, self.optimizer)

    def _with_gradient(self) -> list[nn.Parameter]:
        # Of the optimizer: gradients of weights left out of it are never reset, and would shrink the others.
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]

    def _update(self) -> bool:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        step = self._step_now()
        parameters = self._with_gradient()
        norm = _gradient_norm(parameters)
        finite = bool(torch.isfinite(norm))
        if finite:
            if any(type(method).on_gradients is not Method.on_gradients for method in self.methods):
                for method in self.methods:
                    method.on_gradients(step)
                # A method may have taken gradients away, or given some to weights of its own.
                parameters = self._with_gradient()
                norm = _gradient_norm(parameters)
            if self.max_grad_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(parameters, self.max_grad_norm, norm)
            for method in self.methods:
                method.on_clipped_gradients(step)
        elif not self.skipped:
            logger.warning("a gradient is not finite at step %d: such steps are skipped and counted", self.steps)
        if self.scaler is not None:
            # It saw the same gradients while unscaling, and skips by itself.
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif finite:
            self.optimizer.step()
        if not finite:
            self.skipped += 1
            return False
        for method in self.methods:
            method.on_update(step)
        if self.scheduler is not None:
            self.scheduler.step()
        self.steps += 1
        return True


def prepare(model: nn.Module, methods: Iterable[Method], plan: Plan, carry_out: CarryOut | None = None) -> list[Method]:
    """Check ``methods`` against each other and the model, train what comes first, and let each prepare the model.

    ``carry_out`` does the stages; None leaves them out. Returns copies with memory of their own, so that one method
    object can serve several engines. Raises ``HoldfastError`` before anything was changed.
    """
    own = checked(model, methods, plan)
    for method in own:
        for stage in method.stages(model, plan):
            if carry_out is not None:
                carry_out(method, stage)
    for method in own:
        method.prepare(model, plan)
    return own


def checked(model: nn.Module, methods: Iterable[Method], plan: Plan) -> list[Method]:
    """Return copies of ``methods`` in the order in which they act, checked against each other and the model."""
    own = [dataclasses.replace(method) for method in methods]
    for method in own:
        check_arguments(method)
    check_combination(own)
    own.sort(key=lambda method: (not trains_first(method), not method.freezes))
    for method in own:
        method.check(model)
        method.check_plan(plan)
        if method.needs_text:
            objective_of(model, method.name)
    return own


def measure(model: nn.Module, methods: Iterable[Method], data: TrainingData) -> None:
    """Let ``methods`` look at the training data; random generators and gradients are as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    modes = [(module, module.training) for module in model.modules()]
    with torch.random.fork_rng(devices):
        for method in methods:
            method.measure(model, data)
            model.zero_grad(set_to_none=True)
    for module, training in modes:
        module.training = training


def plain_state(model: nn.Module, methods: Sequence[Method]) -> dict[str, Tensor]:
    """Return the state dict of ``model`` without the methods' surgery."""
    state: dict[str, Tensor] = model.state_dict()
    for method in reversed(methods):
        state = method.plain_state(model, state)
    return state


def finish(model: nn.Module, methods: Sequence[Method]) -> None:
    """Undo the methods' surgery on ``model``, the last first."""
    for method in reversed(methods):
        method.finish(model)


def check_covered(model: nn.Module, optimizer: torch.optim.Optimizer, given: set[int]) -> None:
    """Raise ``HoldfastError`` when the optimizer misses a trainable parameter that a method made.

    ``given``: ids of the parameters before the methods prepared the model; leaving one of those out of the
    optimizer is the user's choice.
    """
    known = given | {id(p) for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and id(parameter) not in known:
            raise HoldfastError(
                f"the optimizer does not train {name}: a method made it, so pass a function that builds the optimizer, "
                "optimizer=lambda parameters: AdamW(parameters, 2e-5)"
            )


def no_labels(batch: Mapping[str, Any]) -> str:
    """Return what to tell a user whose ``batch`` holds no labels."""
    keys = ", ".join(batch)
    if "start_positions" in batch:
        return f"the batch has no labels (its keys: {keys}): question answering by positions is not supported"
    return f"the batch has no labels (its keys: {keys}): name them 'labels' in the dataset or batch"


def unwrap(model: nn.Module) -> nn.Module:
    """Return the plain module inside DistributedDataParallel or a compiled model."""
    if isinstance(model, nn.DataParallel):
        raise HoldfastError(
            "DataParallel replicates the model without its hooks: use DistributedDataParallel, or one GPU"
        )
    while True:
        inner = getattr(model, "module", None) if isinstance(model, nn.parallel.DistributedDataParallel) else None
        inner = inner if inner is not None else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _ddp_problem(model: nn.Module, given: set[int]) -> str:
    """Return why processes would not stay in step; ``given``: ids of the parameters before the methods came."""
    wrapped = next((m for m in model.modules() if isinstance(m, nn.parallel.DistributedDataParallel)), None)
    if wrapped is None:
        return ""
    ignored = set(getattr(wrapped.module, "_ddp_params_and_buffers_to_ignore", ()))
    named = [(name, p) for name, p in wrapped.module.named_parameters() if name not in ignored]
    if any(p.requires_grad and id(p) not in given for _, p in named):
        return "DistributedDataParallel was built before the method made its weights: use attach on a Trainer"
    if any(not p.requires_grad for _, p in named) and not wrapped.find_unused_parameters:
        return "it freezes weights: build DistributedDataParallel with find_unused_parameters=True"
    return ""


def _gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])


@contextmanager
def _same_order(data: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Put the generators that order the rows back, which a pass for the methods must not move."""
    order = [(generator, generator.get_state()) for generator in _generators(data)]
    try:
        yield
    finally:
        for generator, state in order:
            generator.set_state(state)


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except TypeError:
        # Also a loader of a dataset that streams, which has the method.
        return None


def _generators(data: Iterable[Mapping[str, Any]]) -> list[torch.Generator]:
    """Return the generators of a data loader."""
    parts = [data, getattr(data, "sampler", None), getattr(data, "batch_sampler", None)]
    found = [getattr(part, "generator", None) for part in parts]
    return [generator for generator in found if isinstance(generator, torch.Generator)]

"""Methods in a hand-written training loop.

The loop of a step, in order::

    loss = engine.loss(batch)         training mode on; views are asked for, one stacked forward, task loss + methods'
    engine.backward(loss)             loss / accumulation, scaled for fp16
    engine.step()                     every accumulation-th call:
                                          gradients unscaled; skipped when one is not finite
                                          session.on_gradients
                                          clipping
                                          session.on_clipped_gradients
                                          optimizer.step
                                          session.after_step
                                          scheduler.step, zero_grad
"""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods import describe
from holdfast.methods.base import Method, Plan, SelfSupervised, TrainingData
from holdfast.methods.forward import Step
from holdfast.modes import same_modes
from holdfast.training.forward.batches import check_batch, no_labels
from holdfast.training.forward.objective import Objective
from holdfast.training.forward.task_loss import named
from holdfast.training.pretraining.self_supervised import Text, log_progress, retrain
from holdfast.training.session.lifecycle import (
    calibrate,
    final_weights,
    finish,
    plain_state,
    select,
    start,
)
from holdfast.training.session.loaders import length, same_order
from holdfast.training.session.param_groups import check_covered, split_groups
from holdfast.training.session.unwrapping import ddp_problem, guard_hooks, is_compiled, unwrap
from holdfast.training.session.vocabulary import NAME as TRIM
from holdfast.training.session.vocabulary import TrimVocabulary, occurring_tokens

logger = logging.getLogger(__name__)

Scheduler = torch.optim.lr_scheduler.LRScheduler


class Engine:
    """Trains a model with a list of methods in any loop.

    Args:
        model: The plain module, or it wrapped by DDP.
        methods: Configurations, in the order in which they act where they do not say otherwise.
        optimizer: One over the model's parameters, or a function that makes one of an iterable of parameters: it is
            called after the methods prepared the model, and needed where they replace parameters.
        total_steps: Optimizer steps of the whole training, where known; some methods need it.
        accumulation: Micro-batches an optimizer step.
        max_grad_norm: Gradients are clipped to this global norm; None switches clipping off.
        seed: Of what methods draw outside of the forward pass.
        scheduler: Stepped along with the optimizer; or a function that makes one of the optimizer, needed where
            methods split its groups.
        scaler: ``torch.amp.GradScaler``, for fp16.
        data: The training batches (a data loader), for methods that look at them or train on their text first.
        tokenizer: The model's, for methods that train on text; they do so here, in the constructor.
        resumed: Whether ``load_state_dict`` will follow: training on text is then left out.
        stacked: False runs a batch's copies in turn: half the activation memory, more forward passes.
        trim_vocabulary: Train the embeddings of the tokens in ``data`` alone, and keep the others as they are.

    Raises:
        HoldfastError: Where methods cannot work together, on this model or in this training.

    Example:
        >>> engine = Engine(model, [R3F(weight=0.5)], optimizer=make_optimizer)
        >>> for batch in loader:
        ...     engine.backward(engine.loss(batch))
        ...     stepped = engine.step()
        >>> facts = engine.finish()
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
        scheduler: Scheduler | Callable[[torch.optim.Optimizer], Scheduler] | None = None,
        scaler: torch.amp.GradScaler | None = None,
        data: Iterable[Mapping[str, Any]] | None = None,
        tokenizer: Any = None,
        resumed: bool = False,
        stacked: bool = True,
        trim_vocabulary: bool = False,
    ) -> None:
        if accumulation < 1:
            raise HoldfastError(f"accumulation={accumulation}: it counts micro-batches and must be at least 1")
        self._call = model
        self.model = unwrap(model)
        if is_compiled(model):
            guard_hooks()
        given = {id(p) for p in self.model.parameters()}
        self._data = data
        self.accumulation = accumulation
        methods = list(methods)
        if trim_vocabulary:
            methods.append(self._trimming(model, tokenizer))
        if data is None and (looking := [method.name for method in methods if method.requires.data]):
            raise HoldfastError(
                f"{looking[0]} looks at the training data before it trains: pass Engine(..., data=loader)"
            )
        passing = next((method.name for method in methods if method.requires.full_pass), "")
        if data is not None and passing and length(data) is None:
            raise HoldfastError(
                f"{passing} goes over the training data before it trains, and data, a {type(data).__name__}, "
                "has no length: give a list of batches, a loader of a dataset with a length, or a method without a pass"
            )
        self.sessions = start(
            self.model,
            methods,
            Plan(total_steps, seed),
            None if resumed else functools.partial(self._pretrain, tokenizer=tokenizer, seed=seed),
        )
        """Of the methods, in the order in which they act; none once finished."""
        self.methods = [session.method for session in self.sessions]
        try:
            if model is not self.model and (problem := ddp_problem(model, given)):
                raise HoldfastError(f"{describe(self.methods)}: {problem}")
            if isinstance(optimizer, torch.optim.Optimizer):
                remedy = "pass a function that builds it, optimizer=lambda parameters: AdamW(parameters, 2e-5)"
                check_covered(self.model, optimizer, given, remedy)
                self.optimizer = optimizer
            else:
                self.optimizer = optimizer(p for p in self.model.parameters() if p.requires_grad)
            split_groups(self.optimizer, self.model, self.sessions)
            self.scheduler = scheduler(self.optimizer) if callable(scheduler) else scheduler
            self._objective = Objective(self.model, self.sessions, stacked=stacked)
        except BaseException:
            # Also where the caller's own functions raise.
            finish(self.sessions)
            raise
        self.scaler = scaler
        self.max_grad_norm = max_grad_norm
        self.total_steps = total_steps
        self.steps = 0
        """Optimizer steps done, skipped ones not counted."""
        self.skipped = 0
        """Optimizer steps left out because a gradient was not finite."""
        self._micro = 0
        self._to_calibrate = [session for session in self.sessions if session.method.requires.data]
        self._terms: dict[str, Tensor] = {}
        self._evaluating = False
        self._finished = False
        self._warned_of_mode = False

    @property
    def terms(self) -> dict[str, float]:
        """The last loss by part, each as it entered the loss: ``task`` and one entry a method."""
        return {name: float(value) for name, value in self._terms.items()}

    def loss(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the scalar loss of one micro-batch, the mean over its rows.

        ``batch``: the model's keyword arguments, with ``labels``. A model in evaluation mode, as ``from_pretrained``
        gives it, is put into training mode first, which is told once. Inside ``evaluate`` or ``torch.no_grad()`` it is
        the plain task loss of one clean forward in evaluation mode, by the weights that training would end with;
        around many batches use ``evaluate``.

        Raises ``HoldfastError`` for a batch without names or labels, and to train on after ``finish``.
        """
        check_batch(batch)
        if self._evaluating or not torch.is_grad_enabled():
            with self.evaluate():
                task = self._plain_loss(batch, self._call)
            self._terms = {"task": task.detach()}
            return task
        self._refuse_finished("loss")
        self._train_mode()
        step = self._step_now()
        if self._to_calibrate:
            assert self._data is not None
            sessions, self._to_calibrate = self._to_calibrate, []
            data = TrainingData(functools.partial(self._moved, self._data), self._plain_loss)
            with same_order(self._data):
                calibrate(self.model, sessions, data)
        if self._objective.compares and "labels" not in batch:
            raise HoldfastError(no_labels(batch, self._objective.compares))
        result = self._objective.run(self._call, batch, step)
        if result.outputs.get("loss") is None:
            raise HoldfastError(no_labels(batch))
        terms = {"task": result.outputs["loss"], **self._objective.losses(result, batch)}
        self._terms = {name: value.detach() for name, value in terms.items()}
        return torch.stack([value.float() for value in terms.values()]).sum()

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss`` to that of the other micro-batches of this optimizer step."""
        if not loss.requires_grad:
            raise HoldfastError(
                "engine.backward() got a loss without gradient: call engine.loss() outside of engine.evaluate() and "
                "torch.no_grad(), on a model that trains some of its weights"
            )
        loss = loss / self.accumulation
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()  # type: ignore[no-untyped-call]

    def step(self) -> bool:
        """Close a micro-batch; at the last of an optimizer step, update the weights. Return whether they moved."""
        self._refuse_finished("step")
        self._refuse_evaluating("step")
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
            "methods": {session.method.name: session.state_dict() for session in self.sessions},
            "rng": torch.get_rng_state(),
            "accelerator_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict``'s result: restores the methods' state, counters and random generators.

        Load the model's and the optimizer's own states first, after the engine was built, as methods may change
        weights then. Raises ``HoldfastError`` when ``state`` was
        written with other methods or settings of theirs.
        """
        if state["described"] != describe(self.methods):
            raise HoldfastError(
                f"the state was saved with methods {state['described']}, this engine has {describe(self.methods)}: "
                "build it with the same methods"
            )
        for session in self.sessions:
            session.load_state_dict(state["methods"][session.method.name])
        if state["micro"]:
            self._to_calibrate = []
        self.steps, self.skipped, self._micro = state["steps"], state["skipped"], state["micro"]
        torch.set_rng_state(state["rng"])
        if state["accelerator_rng"]:
            torch.cuda.set_rng_state_all(state["accelerator_rng"])

    def plain_state_dict(self) -> dict[str, Tensor]:
        """Return the state dict of the plain model, for ``model.save_pretrained(folder, state_dict=...)``."""
        return plain_state(self.model, self.sessions)

    @contextmanager
    def evaluate(self) -> Iterator[None]:
        """Let the model compute as the finished one would: in evaluation mode and without gradients, for this block.

        Methods that average weights put the average in. At the end of the block the trained weights are back, and every
        module is in the mode, training or evaluation, in which it was.
        """
        if self._evaluating:
            yield
            return
        self._evaluating = True
        try:
            with same_modes(self._call), torch.no_grad(), final_weights(self.sessions):
                self._call.eval()
                yield
        finally:
            self._evaluating = False

    def finish(self, score: Callable[[], float] | None = None) -> dict[str, float]:
        """Leave the model a plain one: undo all surgery and remove the hook. Once finished, it does nothing.

        Call it after training. ``score`` evaluates ``engine.model`` on validation rows, higher is better, for methods
        that choose by it. The model is then in evaluation mode and without gradients. Returns what methods tell of the
        training, by ``<method>/<name>``. Raises ``HoldfastError`` where one needs ``score`` and it is not given;
        nothing is undone then.
        """
        self._refuse_evaluating("finish")
        if self._finished:
            return {}
        if score is None and (needing := [method.name for method in self.methods if method.requires.validation]):
            raise HoldfastError(
                f"{needing[0]} chooses by validation: call engine.finish(score=...) with a function that evaluates "
                "the model on validation rows, higher is better"
            )
        if score is not None:
            select(self.model, self.sessions, score)
        facts = finish(self.sessions)
        self.sessions = []
        self._objective.remove()
        self._finished = True
        return facts

    def _refuse_finished(self, call: str) -> None:
        if self._finished:
            raise HoldfastError(
                f"engine.{call}() after engine.finish(), which took the methods off the model: build a new Engine to "
                "train on; inside engine.evaluate() the loss of the finished model can still be had"
            )

    def _refuse_evaluating(self, call: str) -> None:
        if self._evaluating:
            raise HoldfastError(
                f"engine.{call}() inside engine.evaluate() would be undone at its end: leave the block first"
            )

    def _train_mode(self) -> None:
        """Put the model into training mode where it is in evaluation mode as a whole; parts of it are left alone."""
        if self.model.training:
            return
        self._call.train()
        if not self._warned_of_mode:
            self._warned_of_mode = True
            logger.warning(
                "the model was in evaluation mode, as from_pretrained and model.eval() leave it: engine.loss() put it "
                "into training mode (what is to stay in evaluation mode: .eval() it after model.train()); evaluate "
                "inside engine.evaluate() or torch.no_grad()"
            )

    def _trimming(self, model: nn.Module, tokenizer: Any) -> Method:
        if model is not self.model:
            raise HoldfastError(f"{TRIM}: {type(model).__name__} holds the embedding as it was: give the plain model")
        if self._data is None:
            raise HoldfastError(f"{TRIM} looks up which tokens the data have: pass Engine(..., data=loader)")
        with same_order(self._data):
            return TrimVocabulary(occurring_tokens(self._data, model, tokenizer))

    def _plain_loss(self, batch: Mapping[str, Any], call: nn.Module | None = None) -> Tensor:
        outputs = named(self.model, (call or self.model)(**batch), *(("loss",) if "labels" in batch else ()))
        if outputs.get("loss") is None:
            raise HoldfastError(no_labels(batch))
        loss: Tensor = outputs["loss"]
        return loss

    def _pretrain(self, method: Method, training: SelfSupervised, *, tokenizer: Any, seed: int) -> None:
        if self._data is None:
            raise HoldfastError(f"{method.name} trains on the texts first: pass Engine(..., data=loader)")
        data = self._data
        text = Text(functools.partial(self._moved, data), length(data), self.accumulation, tokenizer, nullcontext)
        with same_order(data):
            retrain(self.model, training, text, seed, method.name, log_progress)

    def _moved(self, data: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        device = next(self.model.parameters()).device
        for batch in data:
            yield {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}

    def _step_now(self) -> Step:
        return Step(self.steps, self.total_steps, self.optimizer)

    def _with_gradient(self) -> list[nn.Parameter]:
        # Of the optimizer: gradients of weights left out of it are never reset, and would shrink the others.
        held = {id(p): p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None}
        # In the model's order, so that the norm does not depend on how the groups are split.
        ordered = [p for p in self.model.parameters() if held.pop(id(p), None) is not None]
        return ordered + list(held.values())

    def _update(self) -> bool:
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        step = self._step_now()
        parameters = self._with_gradient()
        norm = _gradient_norm(parameters)
        finite = bool(torch.isfinite(norm))
        if finite:
            if any(method.requires.gradients for method in self.methods):
                for session in self.sessions:
                    session.on_gradients(step)
                # A method may have taken gradients away, or given some to weights of its own.
                parameters = self._with_gradient()
                norm = _gradient_norm(parameters)
            if self.max_grad_norm is not None:
                torch.nn.utils.clip_grads_with_norm_(parameters, self.max_grad_norm, norm)
            for session in self.sessions:
                session.on_clipped_gradients(step)
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
        for session in self.sessions:
            session.after_step(step)
        if self.scheduler is not None:
            self.scheduler.step()
        self.steps += 1
        return True


def _gradient_norm(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])

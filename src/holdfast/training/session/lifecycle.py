"""What happens to methods and model before, between and after the steps of a training."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods import check_combination
from holdfast.methods.base import Method, MethodSession, Plan, SelfSupervised, TrainingData
from holdfast.methods.parsing import check_arguments
from holdfast.methods.requires import Order
from holdfast.modes import same_modes
from holdfast.training.pretraining.language_models import objective_of

Session = MethodSession[Any]

Pretrain = Callable[[Method, SelfSupervised], None]
"""Does the training that a method wants first."""

_DECLARED = {
    "loss": "outputs",
    "views": "views",
    "perturb_inputs": "inputs",
    "on_gradients": "gradients",
    "on_clipped_gradients": "gradients",
    "calibrate": "data",
    "pretraining": "text",
}
"""Hooks that are only called where the method requires this: trainers are refused, and models hooked, by it."""


def start(
    model: nn.Module,
    methods: Iterable[Method],
    plan: Plan,
    pretrain: Pretrain | None = None,
    again: bool = False,
) -> list[Session]:
    """Check ``methods`` against each other and the model, and start their sessions, with what they train first.

    Args:
        model: The plain module.
        methods: In the order in which they were given.
        plan: Of the training.
        pretrain: Does the training that methods want first; None leaves it out.
        again: The methods were on this model before, and go on from its weights: none is drawn anew.

    Raises:
        HoldfastError: Before anything was changed, where methods cannot work together or on this model.
    """
    sessions: list[Session] = []
    try:
        for method in checked(model, methods, plan):
            with same_weights(model) if again else nullcontext():
                session = method.start(model, plan)
            sessions.append(session)
            _check_declared(session)
            for training in session.pretraining():
                if pretrain is not None:
                    pretrain(method, training)
    except BaseException:
        finish(sessions)
        raise
    return sessions


def checked(model: nn.Module, methods: Iterable[Method], plan: Plan) -> list[Method]:
    """Return ``methods`` in the order in which they act, checked against each other and the model."""
    ordered = list(methods)
    for method in ordered:
        check_arguments(method)
    check_combination(ordered)
    orders = {method.name: method.requires.order for method in ordered}
    ordered.sort(key=lambda method: (orders[method.name], method.name if orders[method.name] == Order.MODEL else ""))
    for method in ordered:
        method.check(model)
        method.check_plan(plan)
        if method.requires.text:
            objective_of(model, method.name)
    return ordered


def _check_declared(session: Session) -> None:
    requires = session.method.requires
    for hook, need in _DECLARED.items():
        if getattr(type(session), hook) is not getattr(MethodSession, hook) and not getattr(requires, need):
            name = session.method.name
            raise HoldfastError(
                f"the session of {name} has {hook}(), which is only called where {name} requires it: return "
                f"Requires({need}=True, ...) from its property requires"
            )


def replaces_model(session: Session) -> bool:
    """Return whether the model is not, while ``session`` trains it, the one that is saved."""
    return type(session).plain_state is not MethodSession.plain_state or replaces_weights(session)


def replaces_weights(session: Session) -> bool:
    """Return whether the weights that ``session`` ends with may be others than those it trains."""
    return type(session).final_weights is not MethodSession.final_weights


def calibrate(model: nn.Module, sessions: Iterable[Session], data: TrainingData) -> None:
    """Let ``sessions`` look at the training data; random generators and gradients are as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices), same_modes(model):
        for session in sessions:
            session.calibrate(data)
            model.zero_grad(set_to_none=True)


@contextmanager
def final_weights(sessions: Sequence[Session]) -> Iterator[None]:
    """Within the block the model computes as the finished one would; for evaluation in the middle of training."""
    with ExitStack() as stack:
        for session in sessions:
            stack.enter_context(session.final_weights())
        yield


def plain_state(model: nn.Module, sessions: Sequence[Session]) -> dict[str, Tensor]:
    """Return the state dict of ``model`` without the methods' surgery, with the weights that it would end with."""
    with final_weights(sessions):
        state: dict[str, Tensor] = model.state_dict()
        for session in reversed(sessions):
            state = session.plain_state(state)
        if any(map(replaces_weights, sessions)):
            # The tensors are the model's own, which is about to get its weights back.
            state = _copied(state)
    return state


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy in which tied weights stay one tensor, as a checkpoint holds them once."""
    copies: dict[object, Tensor] = {}
    copied = {}
    for name, value in state.items():
        key = value.data_ptr(), value.shape, value.stride(), value.dtype
        copied[name] = copies.setdefault(key, value.clone()) if value.numel() else value.clone()
    return copied


def select(model: nn.Module, sessions: Sequence[Session], score: Callable[[], float]) -> None:
    """Let ``sessions`` choose by ``score``, higher is better, which they get for ``model`` in evaluation mode."""

    def evaluated() -> float:
        with same_modes(model), torch.no_grad(), final_weights(sessions):
            model.eval()
            return float(score())

    for session in sessions:
        session.select(evaluated)


def finish(sessions: Sequence[Session]) -> dict[str, float]:
    """Undo the surgery of ``sessions``, the last first; return what they tell of the training, ``<method>/<name>``."""
    facts = {session.method.name: session.finish() for session in reversed(sessions)}
    return {
        f"{session.method.name}/{key}": value
        for session in sessions
        for key, value in facts[session.method.name].items()
    }


@contextmanager
def same_weights(model: nn.Module) -> Iterator[None]:
    """Put the parameters that ``model`` has before and after the block back to the values that they had."""
    before = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    yield
    kept = {id(parameter) for parameter in model.parameters()}
    with torch.no_grad():
        for parameter, value in before:
            if id(parameter) in kept:
                parameter.copy_(value)

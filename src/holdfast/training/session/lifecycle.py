"""What happens to methods and model before, between and after the steps of a training."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from holdfast.methods import check_combination
from holdfast.methods.base import Method, Plan, SelfSupervised, TrainingData
from holdfast.methods.parsing import check_arguments
from holdfast.training.pretraining.language_models import objective_of
from holdfast.training.requirements import shows, trains_first

CarryOut = Callable[[Method, SelfSupervised], None]
"""Does a stage of a method."""


def prepare(
    model: nn.Module,
    methods: Iterable[Method],
    plan: Plan,
    carry_out: CarryOut | None = None,
    again: bool = False,
) -> list[Method]:
    """Check ``methods`` against each other and the model, train what comes first, and let each prepare the model.

    ``carry_out`` does the stages; None leaves them out. ``again``: the methods were on this model before, and go on
    from its weights: none is drawn anew. Returns copies with memory of their own, so that one method object can serve
    several engines. Raises ``HoldfastError`` before anything was changed.
    """
    own = checked(model, methods, plan)
    for method in own:
        for stage in method.stages(model, plan):
            if carry_out is not None:
                carry_out(method, stage)
    for at, method in enumerate(own):
        try:
            with same_weights(model) if again else nullcontext():
                method.prepare(model, plan)
        except BaseException:
            finish(model, own[:at])
            raise
    return own


def checked(model: nn.Module, methods: Iterable[Method], plan: Plan) -> list[Method]:
    """Return copies of ``methods`` in the order in which they act, checked against each other and the model."""
    own = [dataclasses.replace(method) for method in methods]
    for method in own:
        check_arguments(method)
    check_combination(own)
    # Those that end with other weights come last, so that they prepare what the others leave and finish first. Of
    # those that set weights at the start the name decides, so that the order in which they were given does not:
    # what reinit draws gets no noise of noisytune's.
    own.sort(
        key=lambda method: (
            not trains_first(method),
            not method.freezes,
            shows(method),
            method.name if method.freezes else "",
        )
    )
    for method in own:
        method.check(model)
        method.check_plan(plan)
        if method.needs_text:
            objective_of(model, method.name)
    return own


def measure(model: nn.Module, methods: Iterable[Method], data: TrainingData) -> None:
    """Let ``methods`` look at the training data; random generators and gradients are as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    with torch.random.fork_rng(devices), same_modes(model):
        for method in methods:
            method.measure(model, data)
            model.zero_grad(set_to_none=True)


@contextmanager
def shown(model: nn.Module, methods: Sequence[Method]) -> Iterator[None]:
    """Within the block ``model`` computes as the finished one would; for evaluation in the middle of training."""
    with ExitStack() as stack:
        for method in methods:
            stack.enter_context(method.shown(model))
        yield


def plain_state(model: nn.Module, methods: Sequence[Method]) -> dict[str, Tensor]:
    """Return the state dict of ``model`` without the methods' surgery, with the weights that it would end with."""
    with shown(model, methods):
        state: dict[str, Tensor] = model.state_dict()
        for method in reversed(methods):
            state = method.plain_state(model, state)
        if any(shows(method) for method in methods):
            # The tensors are the model's own, which is about to get its weights back.
            state = _copied(state)
    return state


def _copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy in which tied weights stay one tensor, as a checkpoint holds them once."""
    copies: dict[object, Tensor] = {}
    found = {}
    for name, value in state.items():
        key = value.data_ptr(), value.shape, value.stride(), value.dtype
        found[name] = copies.setdefault(key, value.clone()) if value.numel() else value.clone()
    return found


def choose(model: nn.Module, methods: Sequence[Method], score: Callable[[], float]) -> None:
    """Let ``methods`` choose by ``score``, higher is better, which they get for ``model`` in evaluation mode."""

    def evaluated() -> float:
        with same_modes(model), torch.no_grad(), shown(model, methods):
            model.eval()
            return float(score())

    for method in methods:
        method.choose(model, evaluated)


def finish(model: nn.Module, methods: Sequence[Method]) -> None:
    """Undo the methods' surgery on ``model``, the last first."""
    for method in reversed(methods):
        method.finish(model)


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


@contextmanager
def same_modes(model: nn.Module) -> Iterator[None]:
    """Put every module of ``model`` back into the mode, training or evaluation, in which it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training

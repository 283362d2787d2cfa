"""The plain module inside what wraps it, and what the wrapper allows."""

from torch import nn

from holdfast.errors import HoldfastError


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


def is_compiled(model: nn.Module) -> bool:
    """Return whether ``model``, or a part of it, is compiled: wrapped by ``torch.compile``, or in place."""
    return any(m._compiled_call_impl is not None or hasattr(m, "_orig_mod") for m in model.modules())


def guard_hooks() -> None:
    """Make compiled graphs notice hooks.

    By default a graph that was traced without them, of another model of the same class in this process, is taken for
    a model that has some, and they never run. Graphs of before that is switched are dropped, and traced again.
    """
    import torch._dynamo.config

    if torch._dynamo.config.skip_nnmodule_hook_guards:
        torch._dynamo.config.skip_nnmodule_hook_guards = False
        torch._dynamo.reset()


def ddp_problem(model: nn.Module, given: set[int]) -> str:
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

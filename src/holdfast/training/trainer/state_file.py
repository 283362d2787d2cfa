"""The methods' state inside a Trainer's checkpoint, beside the plain model."""

import os
from collections.abc import Sequence

from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods import describe
from holdfast.methods.base import Method

STATE_FILE = "holdfast.safetensors"


def keeps_state(method: Method) -> bool:
    """Return whether ``method`` needs something beside the plain checkpoint to go on."""
    return type(method).state_dict is not Method.state_dict


def write_state(
    checkpoint: str, model: nn.Module, methods: Sequence[Method], chosen: Sequence[Method], skipped: int
) -> None:
    """Write the state of those ``chosen`` of ``methods``, and the number of skipped steps, into ``checkpoint``.

    No file is written where there is nothing to keep.
    """
    kept = [method for method in chosen if keeps_state(method)]
    if not kept and not skipped:
        return
    state = {
        f"{method.name}/{key}": value.contiguous().cpu()
        for method in kept
        for key, value in method.state_dict(model).items()
    }
    about = {"methods": describe(methods), "skipped": str(skipped)}
    save_file(state, os.path.join(checkpoint, STATE_FILE), metadata=about)


def read_state(checkpoint: str, model: nn.Module, methods: Sequence[Method], chosen: Sequence[Method]) -> int:
    """Restore the state of those ``chosen`` of ``methods`` from ``checkpoint``; return the number of skipped steps.

    Raises ``HoldfastError`` when it was written with other methods, or without any.
    """
    path = os.path.join(checkpoint, STATE_FILE)
    if not os.path.exists(path):
        if any(keeps_state(method) for method in chosen):
            raise HoldfastError(
                f"{checkpoint} holds no {STATE_FILE}: it was not written with {describe(methods)}, "
                "resume from a checkpoint that was"
            )
        return 0
    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        saved = about.get("methods", "")
        if saved != describe(methods):
            raise HoldfastError(
                f"{checkpoint} was written with {saved}, this trainer has {describe(methods)}: attach the same methods"
            )
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    for method in chosen:
        prefix = f"{method.name}/"
        found = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        method.load_state_dict(model, found)
    return int(about.get("skipped", 0))

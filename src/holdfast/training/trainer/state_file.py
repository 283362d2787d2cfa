"""The methods' state inside a Trainer's checkpoint, beside the plain model."""

import os
from collections.abc import Sequence

from safetensors import safe_open
from safetensors.torch import save_file

from holdfast.errors import HoldfastError
from holdfast.methods import describe
from holdfast.methods.base import MethodSession
from holdfast.training.session.lifecycle import Session

STATE_FILE = "holdfast.safetensors"


def keeps_state(session: Session) -> bool:
    """Return whether ``session`` needs something beside the plain checkpoint to go on."""
    return type(session).state_dict is not MethodSession.state_dict


def write_state(checkpoint: str, sessions: Sequence[Session], chosen: Sequence[Session], skipped: int) -> None:
    """Write the state of those ``chosen`` of ``sessions``, and the number of skipped steps, into ``checkpoint``.

    No file is written where there is nothing to keep.
    """
    stateful = [session for session in chosen if keeps_state(session)]
    if not stateful and not skipped:
        return
    state = {
        f"{session.method.name}/{key}": value.contiguous().cpu()
        for session in stateful
        for key, value in session.state_dict().items()
    }
    about = {"methods": _described(sessions), "skipped": str(skipped)}
    save_file(state, os.path.join(checkpoint, STATE_FILE), metadata=about)


def read_state(checkpoint: str, sessions: Sequence[Session], chosen: Sequence[Session]) -> int:
    """Restore the state of those ``chosen`` of ``sessions`` from ``checkpoint``; return the number of skipped steps.

    Raises ``HoldfastError`` when it was written with other methods, or without any.
    """
    path = os.path.join(checkpoint, STATE_FILE)
    if not os.path.exists(path):
        if any(map(keeps_state, chosen)):
            raise HoldfastError(
                f"{checkpoint} holds no {STATE_FILE}: it was not written with {_described(sessions)}, "
                "resume from a checkpoint that was"
            )
        return 0
    with safe_open(path, framework="pt") as file:
        about = file.metadata() or {}
        saved = about.get("methods", "")
        if saved != _described(sessions):
            raise HoldfastError(
                f"{checkpoint} was written with {saved}, this trainer has {_described(sessions)}: "
                "attach the same methods"
            )
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    for session in chosen:
        prefix = f"{session.method.name}/"
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        session.load_state_dict(own)
    return int(about.get("skipped", 0))


def _described(sessions: Sequence[Session]) -> str:
    return describe([session.method for session in sessions])

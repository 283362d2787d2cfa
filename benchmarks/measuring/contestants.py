"""What is measured: a method, by its text, or a peer."""

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.methods import Method, parse
from holdfast.methods.requires import Part
from measuring.arm import Arm
from measuring.peer_arm import PeerArm
from measuring.setup import Setup
from measuring.training import Training
from peers.peer import Peer

Contestant = str | Peer


def methods_of(contestant: Contestant) -> list[Method]:
    """Return the methods; a peer is none of Holdfast's."""
    return [] if isinstance(contestant, Peer) else parse(contestant)


def start(
    contestant: Contestant, setup: Setup, total_steps: int, data: Iterable[Mapping[str, Any]] | None = None
) -> Training:
    """Return a training with ``contestant``; ``data`` is for methods that look at it first."""
    if isinstance(contestant, Peer):
        return PeerArm(contestant, setup, total_steps)
    return Arm(contestant, setup, total_steps, data)


def looks(contestant: Contestant) -> bool:
    """Return whether it looks at the training data before it trains."""
    return any(method.requires.data for method in methods_of(contestant))


def keeps_rows(contestant: Contestant) -> bool:
    """Return whether the body is run once for each row and its answers are kept: the first pass costs more."""
    return any(Part.BODY in method.requires.replaces for method in methods_of(contestant))

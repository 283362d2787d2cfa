"""Implementations by others, which the benchmark of costs runs beside Holdfast's."""

from collections.abc import Sequence
from importlib.util import find_spec

from holdfast.errors import HoldfastError, nearest
from peers import smart_pytorch, transformers_neftune
from peers.peer import Peer

PEERS = {peer.name: peer for peer in (smart_pytorch.PEER, transformers_neftune.PEER)}


def chosen(text: str) -> list[Peer]:
    """Return the peers that ``text`` names, separated by commas; ``all`` for every one.

    Raises ``HoldfastError`` for a name that is none.
    """
    names = list(PEERS) if text == "all" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PEERS:
            raise HoldfastError(
                f"--peers {name}: there is none of this name{nearest(name, PEERS)}; known: {', '.join(PEERS)}"
            )
    return [PEERS[name] for name in dict.fromkeys(names)]


def installed(peers: Sequence[Peer]) -> tuple[list[Peer], list[str]]:
    """Return those of ``peers`` that can run here, and for each of the others a line that says what to install."""
    here = [peer for peer in peers if find_spec(peer.package) is not None]
    missing = [f"{peer.name} is not installed: {peer.install}" for peer in peers if peer not in here]
    return here, missing

"""Transformers' own NEFTune, which its Trainer switches on by ``neftune_noise_alpha``."""

from collections.abc import Mapping

from torch import Tensor, nn

from peers.peer import Objective, Peer

_ALPHA = 5.0
"""Of the noise; it changes no cost."""


def _objective(model: nn.Module) -> Objective:
    """Return the model's own loss, with noise on its input embeddings."""
    from transformers.integrations.neftune import activate_neftune

    activate_neftune(model, _ALPHA)  # type: ignore[no-untyped-call]

    def loss(batch: Mapping[str, Tensor]) -> Tensor:
        found: Tensor = model(**batch).loss
        return found

    return loss


PEER = Peer(
    name="transformers-neftune",
    package="transformers.integrations.neftune",
    install="pip install -U transformers",
    floor=1.0,
    objective=_objective,
)

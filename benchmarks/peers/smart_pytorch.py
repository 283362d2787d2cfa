"""smart-pytorch: the smoothness term of SMART for any PyTorch model, https://github.com/archinetai/smart-pytorch."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from holdfast.errors import HoldfastError
from peers.peer import Objective, Peer

_WEIGHT = 0.02
"""Of the smoothness term; it changes no cost."""


def _objective(model: nn.Module) -> Objective:
    """Return cross entropy plus the package's loss between logits, on the token embeddings.

    One step of ascent, the package's default, with KL divergence there and the symmetric one at the end. It has no
    proximal-point term.
    """
    if "inputs_embeds" not in inspect.signature(model.forward).parameters:
        raise HoldfastError(
            f"smart-pytorch perturbs embeddings, and {type(model).__name__} takes no inputs_embeds: leave it out"
        )
    from smart_pytorch import SMARTLoss, kl_loss, sym_kl_loss  # type: ignore[import-not-found]

    embedding: Any = model.get_input_embeddings()  # type: ignore[operator]

    def loss(batch: Mapping[str, Tensor]) -> Tensor:
        rest = {name: value for name, value in batch.items() if name not in ("input_ids", "labels")}

        def logits(embedded: Tensor) -> Tensor:
            found: Tensor = model(inputs_embeds=embedded, **rest).logits
            return found

        embedded = embedding(batch["input_ids"])
        clean = logits(embedded)
        smoothness = SMARTLoss(eval_fn=logits, loss_fn=kl_loss, loss_last_fn=sym_kl_loss)
        total: Tensor = F.cross_entropy(clean, batch["labels"]) + _WEIGHT * smoothness(embedded, clean)
        return total

    return loss


PEER = Peer(
    name="smart-pytorch",
    package="smart_pytorch",
    # Of what it depends on, the rest is stubs for type checkers, which displace those of pandas-stubs.
    install="pip install --no-deps smart-pytorch==0.0.4",
    # Two passes with gradients of everything, and the ascent: a forward, and a backward to its input alone.
    floor=8 / 3,
    objective=_objective,
)

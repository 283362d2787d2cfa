"""Delivers each copy's perturbation to its rows of the input embedding."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.forward import Perturb
from holdfast.methods.parts.model.embeddings import input_embedding
from holdfast.training.forward.dropout_replay import SameDropout

Copy = tuple[int, Perturb | None]
"""Embedded rows of a copy, and what is done to them."""


class EmbeddingHook:
    """A forward hook on the model's input embedding, switched by an attribute.

    It is registered once and never removed while the model trains: ``torch.compile`` ignores hooks added, and
    keeps applying hooks removed, after the first compiled call. ``input_ids`` still reach the model, so
    position ids, padding and pooling see what they always see.
    """

    def __init__(self, model: nn.Module) -> None:
        self.module = input_embedding(model)
        self.plan: Sequence[Copy] | None = None
        self.masks: SameDropout | None = None
        self.fired = False
        self.handle = self.module.register_forward_hook(self._on_forward)

    @contextmanager
    def perturbing(self, copies: Sequence[Copy], masks: SameDropout | None = None) -> Iterator[None]:
        """Within the block, the model's next forward gets these ``copies``, one after another, perturbed.

        ``masks``: the dropout that it shares with other passes, from the embedding on. Raises ``HoldfastError`` when
        the embedding did not run in the block.
        """
        self.plan, self.masks, self.fired = copies, masks, False
        try:
            yield
        finally:
            self.plan = self.masks = None
            if masks is not None:
                masks.end()
        if not self.fired:
            raise HoldfastError(
                f"the input embedding ({type(self.module).__name__}) did not run, so no noise was delivered: "
                "pass input_ids instead of inputs_embeds, and attach before the first compiled call"
            )

    def remove(self) -> None:
        """Take the hook off the model."""
        self.handle.remove()

    def _on_forward(self, module: nn.Module, args: object, output: Tensor) -> Tensor | None:
        # A module shared by encoder and decoder runs twice in a forward; the encoder comes first.
        if self.plan is None or self.fired:
            return None
        self.fired = True
        sizes = [rows for rows, _ in self.plan]
        if len(output) != sum(sizes):
            raise HoldfastError(
                f"the input embedding gave {len(output)} rows for {sum(sizes)}, as unpadded attention does: "
                'load the model with attn_implementation="sdpa"'
            )
        blocks = zip(torch.split(output, sizes), self.plan, strict=True)
        perturbed = [block if perturb is None else perturb(block) for block, (_, perturb) in blocks]
        if self.masks is not None:
            self.masks.reach()
        return perturbed[0] if len(perturbed) == 1 else torch.cat(perturbed)

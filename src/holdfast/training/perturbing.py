"""Delivers each view's perturbation to its rows of the input embedding."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.embeddings import input_embedding

Perturbation = Callable[[Tensor], Tensor] | None


class EmbeddingHook:
    """A forward hook on the model's input embedding, switched by an attribute.

    It is registered once and never removed while the model trains: ``torch.compile`` ignores hooks added, and
    keeps applying hooks removed, after the first compiled call. ``input_ids`` still reach the model, so
    position ids, padding and pooling see what they always see.
    """

    def __init__(self, model: nn.Module) -> None:
        self.module = input_embedding(model)
        self.plan: tuple[int, Sequence[Perturbation]] | None = None
        self.fired = False
        self.handle = self.module.register_forward_hook(self._on_forward)

    @contextmanager
    def perturbing(self, rows: int, copies: Sequence[Perturbation]) -> Iterator[None]:
        """Within the block, the model's next forward gets ``copies`` stacked blocks of ``rows`` rows, perturbed.

        Raises ``HoldfastError`` when the embedding did not run in the block.
        """
        self.plan, self.fired = (rows, copies), False
        try:
            yield
        finally:
            self.plan = None
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
        rows, copies = self.plan
        if len(output) != rows * len(copies):
            raise HoldfastError(
                f"the input embedding gave {len(output)} rows for {rows * len(copies)}, as unpadded attention does: "
                'load the model with attn_implementation="sdpa"'
            )
        blocks = torch.split(output, rows)
        return torch.cat([block if p is None else p(block) for block, p in zip(blocks, copies, strict=True)])

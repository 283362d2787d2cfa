"""Listens to what the head's last linear layer is fed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.heads import last_linear


class FeatureHook:
    """A forward hook on the head's last linear layer, switched by an attribute.

    As the hook on the embedding it is registered once, for the sake of ``torch.compile``. Raises ``HoldfastError``,
    naming ``method``, when the model has no head of its own.
    """

    def __init__(self, model: nn.Module, method: str) -> None:
        self.model = model
        self.method = method
        self.name, self.module = last_linear(model, method)
        self.listening = False
        self.heard: tuple[Tensor, Tensor] | None = None
        self.checked = False
        self.handle = self.module.register_forward_hook(self._on_forward)

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Within the block, keep what the layer gets and gives in the model's forward."""
        self.listening, self.heard = True, None
        try:
            yield
        finally:
            self.listening = False

    def features(self, logits: Tensor, share: float, batch: Mapping[str, Any]) -> Tensor:
        """Return the vectors of the clean rows, one a row of ``logits``, and forget all.

        The clean rows are the first ``share`` of those that ran. ``logits``: the model's for them; ``batch``: its
        keyword arguments. Decoders apply the layer to
        every token and keep the last real one, so that is done here. Raises ``HoldfastError`` when the logits
        are not what the layer gave, once checked at the first forward.
        """
        if self.heard is None:
            raise HoldfastError(
                f"{self.method} listens to {self.name} of {type(self.model).__name__}, which did not run: "
                "attach before the first compiled call"
            )
        fed, given = (tensor[: round(share * len(tensor))] for tensor in self.heard)
        self.heard = None
        if given.numel() != logits.numel() and given.ndim == 3 and len(given) == len(logits):
            at = (torch.arange(len(given), device=given.device), last_token(self.model, batch, given.device))
            fed, given = fed[at], given[at]
        if not self.checked:
            if not _agree(given, logits):
                raise HoldfastError(
                    f"{self.method} needs the vector each row's logits are made of, and those of "
                    f"{type(self.model).__name__} are not what its last linear layer {self.name} gives: "
                    "use a model whose head ends in a linear layer"
                )
            self.checked = True
        return fed

    def remove(self) -> None:
        """Take the hook off the model."""
        self.handle.remove()

    def _on_forward(self, module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        if self.listening:
            self.heard = args[0], output


def last_token(model: nn.Module, batch: Mapping[str, Any], device: torch.device) -> Tensor | int:
    """Return, (rows,), where Transformers' decoder classifiers read their logits: at each row's last real token."""
    config: Any = getattr(model, "config", None)
    config = config.get_text_config() if hasattr(config, "get_text_config") else config
    ids, padding = batch.get("input_ids"), getattr(config, "pad_token_id", None)
    if padding is None or ids is None:
        return -1
    real = (ids != padding).to(device, torch.int32)
    positions = torch.arange(ids.shape[-1], device=device, dtype=torch.int32)
    return cast(Tensor, (positions * real).argmax(-1))


def _agree(given: Tensor, logits: Tensor) -> bool:
    if given.numel() != logits.numel():
        return False
    # Mixed precision hands out logits in float32.
    return torch.allclose(given.float().flatten(), logits.float().flatten(), rtol=1e-3, atol=1e-5, equal_nan=True)

"""What all methods are measured on: the model, the batches, the device."""

import copy
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

RANDOM = {
    "bert-base-random": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "bert-large-random": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
}
"""Models of published sizes with random weights: what a step costs does not depend on them."""

_HEAD_WIDTH = 64
_DIFFERENT_BATCHES = 8
"""As many as a method is shown at once: what is kept of a row must not serve another."""


@dataclass(frozen=True)
class Setup:
    """The same for every method."""

    base: nn.Module
    """The model as it is before training; each method trains a copy."""
    batches: list[dict[str, Tensor]]
    """Full rows without padding, so that every step does the same work."""
    device: torch.device
    precision: str
    accumulation: int
    total_steps: int
    """Optimizer steps of the training that is being priced."""
    epochs: float
    """Passes over its rows, for methods that look at all of them once before it."""
    tokenizer: Any = None
    """The model's, for methods that train on text first; None where it has none."""

    @property
    def epoch_batches(self) -> int:
        """Micro-batches of one pass over the training rows."""
        return max(1, round(self.total_steps / self.epochs)) * self.accumulation

    def some(self, count: int) -> list[dict[str, Tensor]]:
        """Return ``count`` batches, all different as far as there are that many."""
        return [self.batches[index % len(self.batches)] for index in range(count)]

    def model(self) -> nn.Module:
        """Return a copy of the model on the device, in training mode."""
        return copy.deepcopy(self.base).to(self.device).train()

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Return the context that the forward runs in."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16 if self.precision == "bf16" else torch.float16)

    def synchronise(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def base_model(name: str, layers: int | None, width: int | None) -> nn.Module:
    """Return a classifier of two classes: one of ``RANDOM``, resized by ``layers`` and ``width``, or a real model.

    Raises ``HoldfastError`` for a model that cannot be loaded, or that cannot be resized.
    """
    from transformers import BertConfig, BertForSequenceClassification

    from holdfast.errors import HoldfastError
    from holdfast.records.model_source import ModelSource
    from holdfast.training.models.loading import load_model

    torch.manual_seed(0)
    if name not in RANDOM:
        if layers is not None or width is not None:
            raise HoldfastError(
                f"--layers and --width resize {' and '.join(RANDOM)}, not {name}: leave them out, or choose one"
            )
        model: nn.Module = load_model(ModelSource(name), 2)
        return model
    sizes: dict[str, Any] = dict(RANDOM[name])
    if layers is not None:
        sizes["num_hidden_layers"] = layers
    if width is not None:
        if width < _HEAD_WIDTH or width % _HEAD_WIDTH:
            raise HoldfastError(f"--width {width}: attention heads are {_HEAD_WIDTH} wide, give a multiple of that")
        sizes |= {"hidden_size": width, "num_attention_heads": width // _HEAD_WIDTH}
    sizes |= {"vocab_size": 28996, "intermediate_size": 4 * sizes["hidden_size"]}
    config = BertConfig(**sizes)
    return BertForSequenceClassification(config)


def batches(model: nn.Module, rows: int, tokens: int, device: torch.device) -> list[dict[str, Tensor]]:
    """Return a few batches of random token ids, each (rows, tokens), with labels of two classes."""
    from holdfast.errors import HoldfastError

    config: Any = model.config
    positions = getattr(config, "max_position_embeddings", None) or tokens
    if tokens > positions:
        raise HoldfastError(f"--tokens {tokens}: the model takes {positions} at most, use --tokens {positions}")
    draw = torch.Generator().manual_seed(0)
    made = []
    for _ in range(_DIFFERENT_BATCHES):
        # Above the special tokens, and without the padding that a decoder would look for.
        ids = torch.randint(min(1000, config.vocab_size // 2), config.vocab_size, (rows, tokens), generator=draw)
        batch = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": torch.randint(0, 2, (rows,), generator=draw),
        }
        made.append({key: value.to(device) for key, value in batch.items()})
    return made


def adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer that the Trainer makes by default: fused AdamW, decay on matrices alone."""
    every = list(parameters)
    groups = [
        {"params": [p for p in every if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in every if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=2e-5, fused=True)

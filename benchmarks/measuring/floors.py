"""The least arithmetic that a method can do with, as a ratio to plain fine-tuning, from its definition alone.

In units of one forward pass of the batch through the blocks, of which plain fine-tuning takes 3: a forward 1, and a
backward 2, to the weights 1 and to what enters 1. Of L blocks, k count k/L. Embeddings, head, elementwise work, hooks
and the optimizer are left out, and attention's own products count as if they had weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from holdfast.methods import Method


@dataclass(frozen=True)
class Frame:
    """What floors depend on beside a method's arguments."""

    blocks: int | None
    """None where there are two stacks, or their number is not known."""
    epochs: float
    """Passes over the training rows."""


def blocks_of(model: nn.Module) -> int | None:
    """Return the number of blocks by the model's configuration."""
    config: Any = getattr(model, "config", None)
    if config is None or getattr(config, "is_encoder_decoder", False):
        return None
    count = getattr(config, "num_hidden_layers", None)
    return None if count is None else int(count)


def floor(methods: Sequence[Method], frame: Frame) -> float | None:
    """Return the floor of ``methods`` used together; None where there is no simple one.

    Of several, at most one may do more or less than plain fine-tuning: what they share is theirs to know.
    """
    each = [_FLOORS[method.name](method, frame) if method.name in _FLOORS else None for method in methods]
    known = [one for one in each if one is not None]
    if len(known) < len(each) or sum(one != 1 for one in known) > 1:
        return None
    return float(prod(known))


def _plain(method: Any, frame: Frame) -> float:
    return 1.0


def _copy(method: Any, frame: Frame) -> float | None:
    """R3F: a copy of some rows, through the upper blocks, at some steps, with or without gradient."""
    if not method.weight:
        return 1.0
    depth = 1.0
    if method.layers is not None:
        if frame.blocks is None:
            return None
        depth = method.layers / frame.blocks
    passes = 3 if method.gradient == "both" else 1
    return float(1 + method.rows * depth / method.every * passes / 3)


def _smart(method: Any, frame: Frame) -> float:
    """A clean and a perturbed copy, each ascent a forward and a backward to the input, the average a forward."""
    smoothness = 2 * method.steps + 3 if method.weight else 0
    return float(3 + smoothness + bool(method.proximal)) / 3


def _freelb(method: Any, frame: Frame) -> float:
    return float(method.steps)


def _two_copies(method: Any, frame: Frame) -> float:
    return 2.0


def _noise_at_a_layer(method: Any, frame: Frame) -> float | None:
    if frame.blocks is None:
        return None
    return 2.0 - method.layer / frame.blocks if method.weight else 1.0


def _no_weights(method: Any, frame: Frame) -> float:
    """All but few weights are frozen, those few in every block."""
    return 2 / 3


def _top(method: Any, frame: Frame) -> float | None:
    """A little too much: what enters the lowest block that is tuned needs no gradient."""
    return None if frame.blocks is None else 1 / 3 + 2 / 3 * method.k / frame.blocks


def _body_once(method: Any, frame: Frame) -> float:
    """A forward for each row in the whole training."""
    return 1 / (3 * frame.epochs)


def _body_once_more(method: Any, frame: Frame) -> float:
    return 1 + _body_once(method, frame)


def _one_look(method: Any, frame: Frame) -> float:
    """A forward and a backward for each row before the training."""
    return 1 + 1 / frame.epochs


_PLAIN = (
    *("vanilla", "dps", "mixout", "child_tuning_f", "l2_sp", "rec_adam", "pretrained_decay", "mmr", "mhloss"),
    *("neftune", "noisytune", "hype", "reinit", "llrd", "ema", "wise_ft"),
)
_FLOORS: Mapping[str, Callable[[Any, Frame], float | None]] = {
    **dict.fromkeys(_PLAIN, _plain),
    "r3f": _copy,
    "r4f": _copy,
    "smart": _smart,
    "freelb": _freelb,
    "r_drop": _two_copies,
    "lnsr": _noise_at_a_layer,
    "bitfit": _no_weights,
    "lora": _no_weights,
    "top_k_layers": _top,
    "head_tuning": _body_once,
    "lp_ft": _body_once_more,
    "child_tuning_d": _one_look,
}

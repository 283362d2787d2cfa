"""What a batch must be: the model's keyword arguments, as tensors; and what is said of one that is not."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from holdfast.errors import HoldfastError

_TENSORS = ("input_ids", "attention_mask", "token_type_ids", "labels")
"""What no model takes as a list of numbers; of others it may, such as lengths."""


def check_batch(batch: Any) -> None:
    """Raise ``HoldfastError`` for a ``batch`` without names, or with lists or arrays where models take tensors."""
    if not isinstance(batch, Mapping) or not batch:
        given, remedy = f"of type {type(batch).__name__}", "dict(zip(['input_ids', 'attention_mask', 'labels'], batch))"
        if isinstance(batch, (tuple, list)):
            given += f" ({', '.join(type(part).__name__ for part in batch[:4])})"
            if len(batch) == 2 and isinstance(batch[0], Mapping):
                remedy = "{**batch[0], 'labels': batch[1]}"
        raise HoldfastError(
            f"the batch is {given}, without the names of the model's arguments: pass a dictionary of them, such as "
            f"{remedy}"
        )
    for name, value in batch.items():
        if isinstance(value, Tensor):
            continue
        # Of numbers or words: detection models take a list of dictionaries as labels.
        first = _first(value) if name in _TENSORS else None
        if isinstance(first, str):
            raise HoldfastError(f"{name!r} of the batch holds words, and models take numbers: number them from 0")
        if isinstance(first, (bool, int, float)) or hasattr(value, "__array__"):
            raise HoldfastError(
                f"{name!r} of the batch is of type {type(value).__name__}, and models take tensors: "
                f"batch[{name!r}] = torch.as_tensor(batch[{name!r}])"
            )


def no_labels(batch: Mapping[str, Any], method: str = "") -> str:
    """Return what to tell a user whose ``batch`` holds no labels, which ``method`` needs, or the model itself."""
    keys = ", ".join(batch)
    if method and "start_positions" in batch:
        return (
            f"the batch has no labels (its keys: {keys}): question answering by positions is not supported by "
            f"{method}, which compares logits of classes; use methods that work on weights or gradients, such as mixout"
        )
    if method:
        return (
            f"the batch has no labels (its keys: {keys}), and {method} compares the outputs of labelled rows: name "
            "their column 'labels', or use methods that work on weights or gradients, such as mixout"
        )
    return (
        f"the batch has no labels (its keys: {keys}), and the model returned no loss: name them 'labels' in the "
        "dataset or batch"
    )


def _first(values: Any) -> Any:
    while isinstance(values, (list, tuple)) and values:
        values = values[0]
    return values

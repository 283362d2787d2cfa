"""What a batch must be: the model's keyword arguments, as tensors; and what is said of one that is not."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from holdfast.errors import HoldfastError

_TENSORS = ("input_ids", "attention_mask", "token_type_ids", "labels")
"""What no model takes as a list of numbers; of others it may, such as lengths."""


def check_batch(batch: Any) -> None:
    """Raise ``HoldfastError`` for a ``batch`` without names, or with lists or arrays where models take tensors."""
    if not isinstance(batch, Mapping):
        given = f"a {type(batch).__name__}"
        if isinstance(batch, (tuple, list)):
            given += f" of {len(batch)} ({', '.join(type(part).__name__ for part in batch[:4])})"
        raise HoldfastError(
            f"the batch is {given}, without the names of the model's arguments: pass a dictionary, such as "
            "dict(zip(['input_ids', 'attention_mask', 'labels'], batch)) for a TensorDataset of these"
        )
    for name, value in batch.items():
        # Of numbers: detection models take a list of dictionaries as labels.
        numbers = name in _TENSORS and isinstance(value, (list, tuple)) and _holds_values(value)
        if numbers or (hasattr(value, "__array__") and not isinstance(value, Tensor)):
            raise HoldfastError(
                f"{name!r} of the batch is a {type(value).__name__}, and models take tensors: "
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


def _holds_values(values: Any) -> bool:
    while isinstance(values, (list, tuple)) and values:
        values = values[0]
    return isinstance(values, (bool, int, float, str))

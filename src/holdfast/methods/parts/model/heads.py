"""The classification head: the linear layers on top of the pre-trained body."""

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of

_TRAINED_COPY = ".modules_to_save."
"""In the names of modules that PEFT trains in full beside its adapters."""


def head_linears(model: nn.Module, method: str) -> list[tuple[str, nn.Linear]]:
    """Return the head's linear layers with their names, in the order in which they are defined.

    The head is everything outside ``model.base_model``, so a pooler that belongs to the pre-trained body
    (BERT) is not part of it, while the dense layer of RoBERTa's head is.

    Raises ``HoldfastError``, naming ``method``, when there is no head of its own: language models (the output
    layer is the vocabulary's) and models without ``base_model``; and when its layers are not plain.
    """
    kind = type(model).__name__
    found = _above_body(model, method)
    if hasattr(model, "peft_config"):
        # PEFT keeps the head as it was beside the copy that it trains.
        found = [(name, layer) for name, layer in found if _TRAINED_COPY in name and layer.weight.requires_grad]
        if not found:
            raise HoldfastError(
                f"{method} takes over the head, and {kind} trains no copy of it in full: name it in modules_to_save, "
                "use r3f, or train without adapters"
            )
    for name, module in found:
        if type(module) is not nn.Linear:
            raise HoldfastError(
                f"{method} can only take over a plain nn.Linear, and {name} of {kind} is a {type(module).__name__}: "
                "give it a model as loaded, before quantisation or other methods that replace the head"
            )
    return found


def last_linear(model: nn.Module, method: str) -> tuple[str, nn.Linear]:
    """Return the head's last linear layer, which makes the logits, with its name; it need not be plain.

    A linear layer inside another one is part of that. Raises ``HoldfastError`` as ``head_linears`` does, but for
    layers of other kinds and PEFT's wrappers, whose copy of the head is found.
    """
    found = _above_body(model, method)
    outer = [(name, layer) for name, layer in found if not any(name.startswith(f"{other}.") for other, _ in found)]
    return outer[-1]


def _above_body(model: nn.Module, method: str) -> list[tuple[str, nn.Linear]]:
    kind = type(model).__name__
    output = getattr(model, "get_output_embeddings", None)
    if callable(output) and output() is not None:
        raise HoldfastError(
            f"{method} needs a classification head: {kind} generates tokens "
            "and its output layer is the vocabulary's; use r3f instead"
        )
    body = body_of(model)
    if body is model:
        raise HoldfastError(
            f"{method} works on a head above a pre-trained body, and {kind} has no base_model to tell them apart: "
            "give it a property base_model that returns the body"
        )
    inside = {id(module) for module in body.modules()}
    found = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear) and id(m) not in inside]
    if not found:
        raise HoldfastError(
            f"{method} found no linear layer in the head of {kind}: it needs an nn.Linear outside base_model"
        )
    return found

"""Which weights are trained: the new head found, the rest frozen, and all put back."""

from collections.abc import Iterable

from torch import nn

from holdfast.errors import HoldfastError
from holdfast.methods.parts.model.layers import body_of

Flags = list[tuple[nn.Parameter, bool]]
"""Parameters, and whether they were trained."""


def train_only(model: nn.Module, chosen: Iterable[nn.Parameter]) -> Flags:
    """Freeze all parameters of ``model`` but ``chosen`` and return what ``restore_flags`` needs.

    A parameter that was frozen before stays so. Gradients of frozen parameters are dropped, as an optimizer
    that knows them would go on using them.
    """
    kept = {id(parameter) for parameter in chosen}
    flags: Flags = []
    for parameter in model.parameters():
        flags.append((parameter, parameter.requires_grad))
        if id(parameter) not in kept:
            parameter.requires_grad_(False)
            parameter.grad = None
    return flags


def restore_flags(flags: Flags) -> None:
    """Put back what ``train_only`` changed."""
    for parameter, trained in flags:
        parameter.requires_grad_(trained)


def new_head(model: nn.Module, method: str) -> dict[str, nn.Parameter]:
    """Return the trained parameters outside the pre-trained body, by name.

    Empty for language models, whose output layer is pre-trained too. Raises ``HoldfastError``, naming
    ``method``, where the head cannot be told from the body.
    """
    output = getattr(model, "get_output_embeddings", None)
    if callable(output) and output() is not None:
        return {}
    body = body_of(model)
    if body is model:
        raise HoldfastError(
            f"{method} trains the head in full, and {type(model).__name__} does not tell it from the pre-trained body: "
            "give it a property base_model that returns the body"
        )
    inside = {id(parameter) for parameter in body.parameters()}
    return {name: p for name, p in model.named_parameters() if p.requires_grad and id(p) not in inside}

"""Every dropout probability of a model, set in place and put back."""

from operator import itemgetter
from typing import Any

from torch import nn

from holdfast.errors import HoldfastError

Undo = list[tuple[nn.Module, str, Any]]
"""Module, attribute, what it was."""


def check_dropout(method: str, dropout: float | None) -> None:
    """Raise ``HoldfastError``, naming ``method``, when ``dropout`` is neither None nor a share of 0 up to below 1."""
    if dropout is not None and not 0 <= dropout < 1:
        raise HoldfastError(
            f"{method}(dropout={dropout!r}): dropout is the share set to zero, from 0 up to below 1, "
            "or None for the model's own"
        )


def set_dropout(model: nn.Module, p: float | None) -> Undo:
    """Set every dropout probability of ``model`` to ``p``, None leaving them, and return what restores them.

    Set are dropout modules, the numbers that attention and feed-forward code keeps beside them
    (``attention_dropout``), and what they read from their configuration during the forward pass. With ``p`` = 0
    whole layers are no longer skipped either (``layerdrop``, stochastic depth); another ``p`` leaves those alone,
    as they drop something else. A dropout that the model was built without cannot be set. ``model.config``
    itself stays as it is, so checkpoints save what the model was loaded with.
    """
    undo: Undo = []
    if p is None:
        return undo
    shadows: dict[int, Any] = {}
    for module in model.modules():
        for attribute, value in vars(module).items():
            if _is_rate(module, attribute, value, p):
                undo.append((module, attribute, value))
        config = vars(module).get("config")
        if module is not model and config is not None and (fields := _fields(module, config, p)):
            undo.append((module, "config", config))
            module.config = shadows[id(config)] = shadows.get(id(config)) or _shadow(config, fields, p)
    for module, attribute, _ in undo:
        if attribute != "config":
            setattr(module, attribute, p)
    return undo


def restore_dropout(undo: Undo) -> None:
    """Put back what ``set_dropout`` changed, and forget it."""
    while undo:
        module, attribute, value = undo.pop()
        setattr(module, attribute, value)


def _is_rate(module: nn.Module, attribute: str, value: object, p: float) -> bool:
    """Whether ``attribute`` of ``module`` is a probability to set."""
    kinds = " ".join(kind.__name__ for kind in type(module).__mro__).lower()
    name = attribute.lower()
    if "drop" not in name and not (name == "p" and "drop" in kinds):
        return False
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return False
    whole_layers = any(word in f"{name} {kinds}" for word in ("layerdrop", "layer_drop", "droppath", "drop_path"))
    return p == 0 or not whole_layers


def _fields(module: nn.Module, config: Any, p: float) -> list[str]:
    return [name for name, value in getattr(config, "__dict__", {}).items() if _is_rate(module, name, value, p)]


def _shadow(config: Any, fields: list[str], p: float) -> Any:
    """Return a view of ``config`` that answers ``p`` for ``fields``, and is the same object in all else.

    It shares the dictionary of ``config``, so that what is written to either is seen by both, and what is saved
    or pickled is the original.
    """
    answers: dict[str, Any] = {name: property(lambda self: p) for name in fields}
    answers["__reduce_ex__"] = lambda self, protocol: (itemgetter(0), ((config,),))
    kind = type(type(config).__name__, (type(config),), answers)
    shadow: Any = object.__new__(kind)
    shadow.__dict__ = config.__dict__
    return shadow

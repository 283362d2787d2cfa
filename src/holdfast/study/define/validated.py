"""Mistakes in what the user wrote, told in one line instead of pydantic's report."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from holdfast.errors import HoldfastError, nearest

KeyPath = tuple[int | str, ...]
"""Where in nested keys a value stands, as pydantic gives it: ``("settings", "batch_size")``."""

M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], values: Mapping[str, Any], spell: Callable[[KeyPath], str]) -> M:
    """Return ``model`` made of ``values``.

    ``spell`` names a place in the words of whoever wrote it: a key of a file, an option. Raises
    ``HoldfastError`` for the first thing wrong, with the nearest known key for an unknown one.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        # A mistyped key is also a missing one: its nearest name says more.
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        place: KeyPath = first["loc"]
        if first["type"] == "extra_forbidden":
            fields, key = _model_at(model, place[:-1]).model_fields, str(place[-1])
            deeper = [
                f"{name}.{key}"
                for name, field in fields.items()
                # Not in lists of models, which have keys of their own that look like these.
                if isinstance(inner := field.annotation, type) and issubclass(inner, BaseModel)
                if key in inner.model_fields
            ]
            hint = f", did you mean {deeper[0]!r}?" if deeper else nearest(key, fields)
            raise HoldfastError(f"{spell(place)}: unknown key{hint}; known are {', '.join(fields)}") from None
        message = str(first["msg"]).removeprefix("Value error, ")
        if first["type"] == "missing":
            message = "is missing, give it a value"
        elif first["type"] == "model_type":
            message = f"give `key: value` lines (got {first['input']!r})"
        elif first["type"] != "value_error":
            message = f"{message[0].lower()}{message[1:]} (got {first['input']!r})"
        raise HoldfastError(f"{spell(place)}: {message}") from None


def _model_at(model: type[BaseModel], place: KeyPath) -> type[BaseModel]:
    """Return the (nested) model at ``place``."""
    for step in place:
        if isinstance(step, str):
            model = _model_in(model.model_fields[step].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model class that ``annotation`` is or holds, as in ``list[Model]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in getattr(annotation, "__args__", ()) if (model := _model_in(part))), None)

"""Methods as text: ``r3f(weight=0.5)+dps``, read and written."""

import ast
import dataclasses
import re
import types
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from holdfast.errors import HoldfastError, nearest
from holdfast.methods.base import Method
from holdfast.methods.registry import catalogue

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)


def split(text: str, separator: str = ",") -> list[str]:
    """Return the parts of ``text`` between separators that stand outside brackets and quotes, stripped.

    Raises ``HoldfastError`` for an empty part or a bracket without its partner.
    """
    parts, depth, quote, start = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
            if depth < 0:
                break
        elif char == separator and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    if depth or quote:
        raise HoldfastError(f"methods {text!r}: a bracket or quote has no partner, write for example r3f(weight=0.5)")
    parts.append(text[start:].strip())
    if not all(parts):
        raise HoldfastError(f"methods {text!r}: a name is missing before or after {separator!r}")
    return parts


def parse(text: str) -> list[Method]:
    """Return the methods that ``text`` names, such as ``"r3f(weight=0.5)+dps"``, in order.

    Raises ``HoldfastError`` for unknown names and arguments (with the nearest known one), values of the wrong
    type, and methods that cannot work together.
    """
    methods = [_parse_one(part) for part in split(text, "+")]
    check_combination(methods)
    return methods


def describe(methods: Sequence[Method]) -> str:
    """Return the canonical text of ``methods``: only what differs from the defaults, in the order of definition."""
    return "+".join(_describe_one(method) for method in methods)


def arguments(method: Method | type[Method]) -> tuple[dataclasses.Field[Any], ...]:
    """Return the hyper-parameters of a method: its constructor's arguments as dataclass fields."""
    return tuple(field for field in dataclasses.fields(method) if field.init)


def check_combination(methods: Sequence[Method]) -> None:
    """Raise ``HoldfastError``, saying why, when ``methods`` cannot be used together."""
    for at, method in enumerate(methods):
        for earlier in methods[:at]:
            if earlier.name == method.name:
                raise HoldfastError(f"{describe(methods)}: {method.name} is named twice, name each method once")
            ours, theirs = method.requires, earlier.requires
            shared = sorted(theirs.replaces & ours.replaces)
            if shared:
                raise HoldfastError(
                    f"{describe(methods)}: {earlier.name} and {method.name} both replace the {shared[0]}, "
                    "use one of them"
                )
            for taker, user in ((earlier, method), (method, earlier)):
                taken = sorted(taker.requires.replaces & user.requires.uses)
                if taken:
                    raise HoldfastError(
                        f"{describe(methods)}: {taker.name} takes over the {taken[0]} that {user.name} works on, "
                        "use one of them"
                    )
            if len({ours.dropout, theirs.dropout} - {None}) > 1:
                raise HoldfastError(
                    f"{describe(methods)}: {earlier.name} trains with dropout {theirs.dropout} and "
                    f"{method.name} with {ours.dropout}, give both the same"
                )
            if isinstance(method, type(earlier)) or isinstance(earlier, type(method)):
                raise HoldfastError(
                    f"{describe(methods)}: {method.name} and {earlier.name} add the same penalty, use one of them"
                )


def check_arguments(method: Method) -> None:
    """Raise ``HoldfastError`` when an argument given in Python is of another kind than its annotation says."""
    hints = get_type_hints(type(method))
    for field in arguments(method):
        value, hint = getattr(method, field.name), hints[field.name]
        if not _is_kind(value, hint):
            raise HoldfastError(f"{method.name}({field.name}={value!r}): {field.name} must be {_spell(hint)}")


def _is_kind(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):
        return any(_is_kind(value, choice) for choice in get_args(hint))
    if hint in (int, float):
        # NumPy's numbers too.
        return isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
    # Methods of other packages may take what cannot be written as text.
    known = get_origin(hint) is Literal or hint in (bool, type(None))
    return not known or _fits(value, hint)


def _describe_one(method: Method) -> str:
    changed = [
        f"{field.name}={getattr(method, field.name)}"
        for field in arguments(method)
        if getattr(method, field.name) != field.default
    ]
    return method.name + (f"({', '.join(changed)})" if changed else "")


def _parse_one(text: str) -> Method:
    match = _CALL.fullmatch(text)
    if match is None:
        raise HoldfastError(f"method {text!r} is not of the form name or name(argument=value)")
    name, inner = match.group(1).lower(), match.group(2)
    known = catalogue()
    if name not in known:
        raise HoldfastError(f"unknown method {name!r}{nearest(name, known)}; `holdfast methods` lists all")
    cls = known[name]
    values: dict[str, Any] = {}
    for part in split(inner) if inner and inner.strip() else []:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        fields = [field.name for field in arguments(cls)]
        if not equals:
            raise HoldfastError(f"{text}: write {part!r} as argument=value; {_listed(name, fields)}")
        if key not in fields:
            raise HoldfastError(
                f"{text}: {name} has no argument {key!r}{nearest(key, fields)}; {_listed(name, fields)}"
            )
        if key in values:
            raise HoldfastError(f"{text}: the argument {key} is given twice, keep one")
        values[key] = _convert(text, key, value, get_type_hints(cls)[key])
    return cls(**values)


def _listed(name: str, fields: Sequence[str]) -> str:
    return f"{name} takes {', '.join(fields)}" if fields else f"{name} takes no arguments"


def _convert(text: str, key: str, written: str, hint: Any) -> Any:
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError):
        # Unquoted words are strings, except those of other spellings of the constants.
        value = {"true": True, "false": False, "none": None}.get(written.lower(), written)
    if _fits(value, hint):
        return value
    if hint is float and type(value) is int:
        return float(value)
    for choice in get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ():
        if choice is float and type(value) is int:
            return float(value)
    raise HoldfastError(f"{text}: {key}={written} must be {_spell(hint)}")


def _fits(value: Any, hint: Any) -> bool:
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, choice) for choice in get_args(hint))
    return type(value) is hint or (hint is type(None) and value is None)


def _spell(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        return " or ".join(_spell(choice) for choice in get_args(hint))
    return {float: "a number", int: "a whole number", bool: "true or false", type(None): "none"}.get(hint, str(hint))

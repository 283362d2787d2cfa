"""The text of ``--ood``: other tasks, with what their classes count as where that is not known."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.records.task import OodSpec, TaskSpec

_EXAMPLE = "mine.csv(yes=entailment,no=not_entailment)"
_OPENING = ",(="
"""A quotation mark after one of these, or at the start, quotes; elsewhere it is part of a name, as in bob's.csv."""


def parse_ood(text: str) -> list[OodSpec]:
    """Read ``"scitail,mine.csv(yes=entailment,no=not_entailment)"``: tasks, files or hub ids, with pairs of classes.

    Names that hold commas, brackets or equals signs stand in quotes of either kind. Raises ``HoldfastError`` for a
    missing name, an open bracket or quote, pairs of another form, and a task or pair given twice.
    """
    specs: list[OodSpec] = []
    for item in _split(text, ",", text):
        source, pairs = _task(item, text)
        if any(one.task.source == source for one in specs):
            raise _mistake(text, f"{source} is given twice; keep one")
        specs.append(OodSpec(task=TaskSpec(source=source), labels=pairs))
    return specs


def _task(item: str, text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    brackets = _outside(item, "(")
    # A file may be named "rows (1).csv".
    if not brackets or not item.endswith(")"):
        return _name(item), ()
    source, inner = item[: brackets[-1]].strip(), item[brackets[-1] + 1 : -1]
    if not source:
        raise _mistake(text, f"a task's name is missing before {item!r}")
    pairs: list[tuple[str, str]] = []
    for part in _split(inner, ",", text):
        equals = _outside(part, "=")
        sides = [part[: equals[0]].strip(), part[equals[0] + 1 :].strip()] if len(equals) == 1 else []
        if not all(sides) or not sides:
            raise _mistake(text, f"{part!r} is not of the form class=class, as in {_EXAMPLE}")
        pair = _name(sides[0]), _name(sides[1])
        if pair in pairs:
            raise _mistake(text, f"{part} is given twice; keep one")
        pairs.append(pair)
    return _name(source), tuple(pairs)


def _split(part: str, separator: str, text: str) -> list[str]:
    """The pieces between separators that stand outside brackets and quotes."""
    ends = _outside(part, separator, text)
    pieces = [part[a + 1 : b].strip() for a, b in zip([-1, *ends], [*ends, len(part)], strict=True)]
    if not all(pieces):
        what = "a name is missing beside a comma" if ends else "a name is missing"
        raise _mistake(text, f"{what}; write tasks and files with commas between them, such as scitail,{_EXAMPLE}")
    return pieces


def _outside(part: str, wanted: str, text: str | None = None) -> list[int]:
    """Where ``wanted`` stands outside brackets and quotes; with ``text``, the whole option, open ones are refused."""
    places, depth, quote, before = [], 0, "", ","
    for at, char in enumerate(part):
        if quote:
            quote = "" if char == quote else quote
        elif char == wanted and not depth:
            places.append(at)
        elif char in "\"'" and before in _OPENING:
            quote = char
        if not quote:
            depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        before = before if char.isspace() else char
    if text is not None and (depth or quote):
        raise _mistake(text, f"a bracket or quote has no partner; write for example {_EXAMPLE}")
    return places


def _name(text: str) -> str:
    quoted = len(text) > 2 and text[0] in "\"'" and text[0] == text[-1]
    return text[1:-1] if quoted else text


def _mistake(text: str, what: str) -> HoldfastError:
    return HoldfastError(f"--ood {text!r}: {what}")

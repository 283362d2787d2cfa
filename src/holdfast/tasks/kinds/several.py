"""Labels that are more than one class a row: lists, vectors of 0 and 1, joined names, spans of characters."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from holdfast.tasks.column_names import LABELS, SINGLES, WORDS
from holdfast.tasks.table import Table

CHOSEN = "accept"
"""Prodigy's column of the chosen labels, where there are some to choose from."""

_JOINTS = "#|;,/+"
"""What annotation tools and people put between labels; of several the first that fits."""

_DOUBTFUL_JOINTS = "/+"
"""What also stands inside names: read/write, C++."""

_ONE_BY_ONE = "write a column of 0 and 1 for each label and learn one at a time with --label"
_EACH_A_CLASS = "or give --kind classification, which makes each combination a class of its own"
_WORDS = "write lists of words and of their classes, in columns 'tokens' and 'ner_tags'"

_NUMPY = re.compile(r"\[\s*[01]\.?(\s+[01]\.?)+\s*\]")
_NO_OR_YES = ({"0", "1"}, {"0", "1", "None"}, {"False", "True"}, {"0.0", "1.0"})

_DECIMAL = re.compile(r"[-+]?\d*([,/]\d+)?%?")


def several_labels(table: Table, column: str, kind: str | None) -> str | None:
    """Say what a label column of lists, objects, spans or joined names holds, where, and what to do about it.

    None where each row has one label. Texts that look like several labels are one where the user's ``kind`` says so.
    """
    values = table.columns[column]
    read = {value: parsed(value) for value in {value for value in values if isinstance(value, str)}}
    forms = [read[value] if isinstance(value, str) else value for value in values]
    nested = [i for i, form in enumerate(forms) if _is_nested(form)]
    held = [forms[i] for i in nested]
    written = all(isinstance(values[i], str) for i in nested)
    if nested and not (written and (kind is not None or _single(held))):
        what, remedy = _what(held)
        if written:
            remedy += f", {_EACH_A_CLASS}"
        return f"column {column!r} holds {what} ({table.where(nested)}), and Holdfast learns one class a row: {remedy}"
    if kind is not None or nested:
        return None
    texts = [value.strip() if isinstance(value, str) else "" for value in values]
    for joint in _JOINTS:
        joined = _joined(texts, joint)
        if joined:
            rows = [i for i, text in enumerate(texts) if text in joined]
            return (
                f"column {column!r} holds several labels a row, joined by {joint!r}, as in {joined[0]!r} "
                f"({table.where(rows)}), and Holdfast learns one class a row: {_ONE_BY_ONE}, {_EACH_A_CLASS}"
            )
    return None


def single_labels(table: Table) -> Table:
    """Return ``table`` with lists of one label as that label in columns of labels that hold nothing else, told.

    An empty list is a missing label. Tables with lists of words have lists of their classes, and stay as they are.
    """
    if any(table.has_lists(name) for name in table.columns if name.lower() in (*WORDS, *SINGLES)):
        return table
    single: dict[str, list[Any]] = {}
    for name in (name for name in table.columns if name.lower() in (*LABELS, CHOSEN)):
        values = table.columns[name]
        if any(values) and all(isinstance(value, list) and len(value) <= 1 for value in values):
            labels = [value[0] if value else None for value in values]
            if not any(map(_is_nested, labels)):
                single[name] = labels
    notes = [f"{table.place}: column {name!r} holds lists of one label each, read as that label" for name in single]
    return replace(table, columns=table.columns | single, notes=(*table.notes, *notes)) if single else table


def indicators(table: Table, but: Sequence[str | None]) -> list[str]:
    """Return the columns that hold 0 or 1 in each row, as a column for each of several labels does; at least two.

    ``but``: columns with a use of their own.
    """
    columns = []
    for name, values in table.columns.items():
        if name not in but and {str(value) for value in values} in _NO_OR_YES:
            columns.append(name)
    return columns if len(columns) > 1 else []


def spans_in(table: Table) -> list[str]:
    """Return the columns that hold spans of characters, such as ``[0, 5, "ITEM"]`` or ``{"start": 0, "end": 5}``."""
    columns = [name for name, values in table.columns.items() if any(map(_is_spans, values))]
    # Prodigy's words have a start and an end too.
    return [name for name in columns if name.lower() != "tokens"] or columns


def parsed(text: str) -> Any:
    """A text that is written as a list or an object, in JSON, Python or NumPy; None for any other."""
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return None
    if _NUMPY.fullmatch(text):
        return [int(float(number)) for number in text[1:-1].split()]
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def _single(forms: Sequence[Any]) -> bool:
    return all(isinstance(form, list) and len(form) == 1 and not _is_nested(form[0]) for form in forms)


def _what(forms: Sequence[Any]) -> tuple[str, str]:
    """What lists and objects hold, and the remedy."""
    if any(map(_is_spans, forms)):
        return "spans of characters", _WORDS
    if all(map(_is_vector, forms)):
        if all(sum(form) == 1 for form in forms):
            return "vectors with a 1 for the class", "write the class's number or name instead"
        return "vectors of 0 and 1, several labels a row", _ONE_BY_ONE
    if _single(forms):
        return "lists of one label each", "write the label alone"
    if all(isinstance(form, list) and not any(map(_is_nested, form)) for form in forms):
        return "lists, several labels a row", _ONE_BY_ONE
    if all(isinstance(form, dict) and any(isinstance(part, list) for part in form.values()) for form in forms):
        return "objects with lists of labels, several labels a row", _ONE_BY_ONE
    return "lists or objects", "write the class alone, or choose another column with --label"


def _is_nested(value: Any) -> bool:
    return isinstance(value, list | tuple | dict)


def _is_spans(value: Any) -> bool:
    """Whether a cell is a list of spans, or an object that has one."""
    if isinstance(value, dict):
        return _is_span(value) or any(_is_spans(held) for held in value.values() if isinstance(held, list))
    return isinstance(value, list | tuple) and any(map(_is_span, value))


def _is_span(value: Any) -> bool:
    if isinstance(value, dict):
        return any({f"start{more}", f"end{more}"} <= value.keys() for more in ("", "_offset", "Offset", "_char"))
    return (
        isinstance(value, list | tuple)
        and len(value) > 2
        and all(isinstance(place, int) and not isinstance(place, bool) for place in value[:2])
        and isinstance(value[2], str)
    )


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(part in (0, 1) for part in value)


def _joined(texts: Sequence[str], joint: str) -> list[str]:
    """Return the texts that are labels with ``joint`` between them; none where they may be names that hold it.

    Labels come back in other company or alone, and not always as many: no name of a class does so.
    """
    parts = {text: [part.strip() for part in text.split(joint)] for text in dict.fromkeys(texts) if text}
    parts = {text: pieces if all(pieces) else [text] for text, pieces in parts.items()}
    if len({len(pieces) for pieces in parts.values()}) < 2 or (joint in ",/" and all(map(_DECIMAL.fullmatch, parts))):
        return []
    alone = {text for text, pieces in parts.items() if len(pieces) == 1}
    uses = Counter(part for pieces in parts.values() for part in set(pieces))
    joined = [text for text, pieces in parts.items() if len(pieces) > 1]
    again = [text for text in joined if all(uses[part] > 1 for part in parts[text])]
    whole = [text for text in joined if alone.issuperset(parts[text])]
    if joint in _DOUBTFUL_JOINTS or len(again) < 2:
        again = whole
    counts = Counter(texts)
    rows = sum(counts[text] for text in again)
    return again if 2 * rows > sum(counts[text] for text in joined) else []

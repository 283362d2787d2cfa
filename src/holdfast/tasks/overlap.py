"""Rows that stand in two splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping

from holdfast.tasks.task import Split

_PUNCTUATION = re.compile(r"[\s!-/:-@\[-`{-~\u2000-\u206f]+")
"""White space, and ASCII's and Unicode's general punctuation; the letters and marks of every script stay."""


def same_text_key(split: Split, row: int) -> Hashable:
    """What makes two rows the same example: their texts, and choices, ignoring case and runs of whitespace."""
    return _key(split, row, plain)


def _key(split: Split, row: int, normal: Callable[[str], str]) -> Hashable:
    further = split.pairs[row : row + 1] if split.pairs is not None else []
    further = further if split.choices is None else split.choices[row]
    first = normal(split.texts[row])
    return (first, *map(normal, further)) if further else first


def overlap_warnings(splits: Mapping[str, Split]) -> tuple[str, ...]:
    """Tell how many rows of every other split also stand in ``train``, labels aside."""
    train = splits["train"]
    seen = {same_text_key(train, row) for row in range(len(train))}
    warnings = []
    for name, split in splits.items():
        if name == "train":
            continue
        shared = sum(same_text_key(split, row) in seen for row in range(len(split)))
        if shared:
            warnings.append(
                f"{shared} of {len(split)} {name} rows also stand in train (ignoring case and spaces), "
                f"so scores on {name} flatter"
            )
    return tuple(warnings)


def overlapping(train: Split, scored: Split) -> int:
    """Return how many rows of ``scored`` have a text (of pairs: both texts) that also stands in ``train``.

    Case, spaces and punctuation are ignored, since data sets that share sentences split and quote them each in their
    own way; so are labels. Single texts never equal pairs.
    """
    seen = {_key(train, row, _letters) for row in range(len(train))}
    return sum(_key(scored, row, _letters) in seen for row in range(len(scored)))


def _letters(text: str) -> str:
    # Texts such as ":-)" have nothing else.
    return _PUNCTUATION.sub("", text.casefold()) or plain(text)


def plain(text: str) -> str:
    """Return the text in small letters with single spaces."""
    return " ".join(text.casefold().split())

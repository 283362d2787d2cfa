"""Rows that stand in two splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence

from holdfast.tasks.characters import normal
from holdfast.tasks.table import Table, counted
from holdfast.tasks.task import Split

_SHOWN = 60
"""Characters of a text in a message."""

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


def repeated_rows(table: Table, train: Split, names: Sequence[str]) -> list[str]:
    """Tell how many rows to train on have a text that stands there again, with the same label or with another.

    ``table``: where the rows come from, one each; ``names``: of the classes, empty where labels are numbers.
    """
    labels = train.numbers if not names else [names[label] for label in train.classes]
    rows: dict[Hashable, list[int]] = {}
    for row in range(len(train)):
        rows.setdefault(same_text_key(train, row), []).append(row)
    repeated = [group for group in rows.values() if len(group) > 1]
    differing = [group for group in repeated if len({labels[row] for row in group}) > 1]
    warnings = []
    if differing:
        counts = Counter(str(labels[row]) for row in differing[0])
        example = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        warnings.append(
            f"{table.place}: {counted(len(differing), 'text')} found in {sum(map(len, differing))} rows with different "
            f"labels ({shortened(train.texts[differing[0][0]])}: {example}; {table.where(differing[0])}); no model can "
            f"be right in all of them"
        )
    again = sum(len(group) - 1 for group in repeated if group not in differing)
    if again:
        warnings.append(f"{table.place}: {again} of {len(train)} rows repeat another, text and label alike")
    return warnings


def shortened(text: str) -> str:
    """Return ``text`` in quotes on one line, cut where it is long."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…")


def overlapping(train: Split, scored: Split) -> int:
    """Return how many rows of ``scored`` have a text (of pairs: both texts) that also stands in ``train``.

    Case, spaces and punctuation are ignored, since data sets that share sentences split and quote them each in their
    own way; so are labels. Single texts never equal pairs.
    """
    seen = {_key(train, row, _letters) for row in range(len(train))}
    return sum(_key(scored, row, _letters) in seen for row in range(len(scored)))


def _letters(text: str) -> str:
    # Texts such as ":-)" have nothing else.
    return _PUNCTUATION.sub("", plain(text)) or plain(text)


def plain(text: str) -> str:
    """Return the text in small letters with single spaces, in Unicode's form NFC, without unseen characters."""
    return " ".join(normal(text.casefold()).split())

"""Sentence patterns with slots, and splits of distinct rows made from them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from holdfast.errors import HoldfastError
from holdfast.tasks.sampling.drawing import generator, pick
from holdfast.tasks.task import Split

Words = Mapping[str, Sequence[tuple[str, ...]]]
"""Entries of each slot; an entry holds its forms, such as singular and plural."""

Cell = tuple[int, bool]
"""A class, and whether the shortcut gives the right answer."""

_SLOT = re.compile(r"\{([a-z]+)(\d*)(?:\[(\d)\])?\}")
_TRIES = 2000
"""Draws for one new row; reaching it below the declared limit has a vanishing chance."""

TENTHS = {"train": 7, "validation": 7, "test": 5, "ood": 5}
"""Rows in ten on which the shortcut is right: mostly in training, no better than chance where scored."""

SIZES = {"validation": 300, "test": 500, "ood": 500}


@dataclass(frozen=True)
class Pattern:
    """A sentence or pair with slots: ``{noun[1]}`` is the second form of an entry of ``noun``.

    Without a number in brackets it is the first form. ``{noun1}`` and ``{noun2}`` are different entries of
    the same list; a slot that occurs twice is filled alike.
    """

    text: str
    pair: str | None = None

    @cached_property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """Each slot's name and the list it draws from, once."""
        slots = _SLOT.findall(self.text + (self.pair or ""))
        return tuple(dict.fromkeys((words + number, words) for words, number, _ in slots))

    def derivations(self, words: Words) -> int:
        """In how many ways the slots can be filled."""
        count = 1
        used: dict[str, int] = {}
        for _, source in self.slots:
            count *= len(words[source]) - used.get(source, 0)
            used[source] = used.get(source, 0) + 1
        return count

    def write(self, words: Words, rng: random.Random) -> tuple[str, str | None]:
        """One random sentence or pair."""
        filled: dict[str, tuple[str, ...]] = {}
        for slot, source in self.slots:
            entry = pick(words[source], rng)
            while entry in filled.values():
                entry = pick(words[source], rng)
            filled[slot] = entry
        return _sentence(self.text, filled), None if self.pair is None else _sentence(self.pair, filled)


@dataclass(frozen=True)
class Grammar:
    """A generated task: for every class, patterns on which a shortcut is right and patterns on which it is wrong."""

    name: str
    description: str
    labels: tuple[str, ...]
    shortcut: str
    """The heuristic, in words."""
    cells: Callable[[bool], Mapping[Cell, Sequence[tuple[Pattern, Words]]]]
    """Patterns and words of each cell; the argument asks for those of the out-of-domain split."""
    metrics: tuple[str, ...]
    columns: tuple[str, ...]


def entries(text: str) -> tuple[tuple[str, ...], ...]:
    """Entries of a word list: separated by commas, their forms by slashes."""
    return tuple(tuple(form.strip() for form in entry.split("/")) for entry in " ".join(text.split()).split(", "))


def limit(grammar: Grammar) -> int:
    """The largest training set the grammar makes: half of the smallest cell, other splits put by."""
    sizes = []
    for (_, right), patterns in grammar.cells(False).items():
        # A pattern may be listed several times, to be drawn more often.
        distinct = {(pattern.text, pattern.pair): (pattern, words) for pattern, words in patterns}
        space = sum(pattern.derivations(words) for pattern, words in distinct.values()) // 2
        tenths = TENTHS["train"] if right else 10 - TENTHS["train"]
        put_by = SIZES["validation"] + SIZES["test"]
        sizes.append((space - put_by) * len(grammar.labels) * 10 // tenths)
    return min(sizes)


def generate_splits(grammar: Grammar, size: int, seed: int) -> dict[str, Split]:
    """Splits ``train``, ``validation``, ``test`` and ``ood``, without a text in common.

    All but ``train`` are the same whatever ``size`` is, and a smaller training set is the start of a larger
    one. Classes are balanced. Raises ``HoldfastError`` when the grammar cannot make ``size`` different rows.
    """
    if size < len(grammar.labels):
        raise HoldfastError(f"playground/{grammar.name}: size {size} is too small; use at least {len(grammar.labels)}")
    largest = limit(grammar)
    if size > largest:
        raise HoldfastError(
            f"playground/{grammar.name}: size {size} is more than the {largest:,} training rows it can make; lower it"
        )
    seen: set[tuple[str, str | None]] = set()
    made = {name: _rows(grammar, name, count, seed, seen) for name, count in {**SIZES, "train": size}.items()}
    return {name: made[name] for name in ("train", "validation", "test", "ood")}


def _rows(grammar: Grammar, name: str, count: int, seed: int, seen: set[tuple[str, str | None]]) -> Split:
    rng = generator("playground", grammar.name, seed, name)
    cells = grammar.cells(name == "ood")
    classes, tenths = len(grammar.labels), TENTHS[name]
    rows: list[tuple[str, str | None]] = []
    labels: list[int] = []
    for i in range(count):
        label, nth = i % classes, i // classes
        right = (nth + 1) * tenths // 10 > nth * tenths // 10
        patterns = cells[label, right]
        for _ in range(_TRIES):
            pattern, words = pick(patterns, rng)
            row = pattern.write(words, rng)
            if row not in seen:
                break
        else:
            raise HoldfastError(f"playground/{grammar.name}: no new row after {len(seen)}; lower the size")
        seen.add(row)
        rows.append(row)
        labels.append(label)
    pairs = [pair for _, pair in rows if pair is not None]
    return Split([text for text, _ in rows], pairs or None, list(labels), [f"{name}-{i}" for i in range(count)])


def _sentence(template: str, filled: Mapping[str, tuple[str, ...]]) -> str:
    text = _SLOT.sub(lambda slot: filled[slot[1] + slot[2]][int(slot[3] or 0)], template)
    return text[0].upper() + text[1:]

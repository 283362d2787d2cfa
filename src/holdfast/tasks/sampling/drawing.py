"""Random choices that are the same on every machine and Python version."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def generator(*parts: object) -> random.Random:
    """A generator seeded by the text of ``parts``; does not depend on Python's string hash."""
    return random.Random("/".join(str(part) for part in parts))


def pick(items: Sequence[Item], rng: random.Random) -> Item:
    """One of the items, each equally likely."""
    # Only random() is promised to give the same sequence in later Python versions; choice() is not.
    return items[int(rng.random() * len(items))]


def shuffled(items: Sequence[Item], rng: random.Random) -> list[Item]:
    """The items in random order."""
    keys = [rng.random() for _ in items]
    return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]

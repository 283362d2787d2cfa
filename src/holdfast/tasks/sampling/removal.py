"""Training rows taken away at random, to see how much results hang on which rows there were."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.errors import HoldfastError
from holdfast.tasks.sampling.drawing import generator, shuffled
from holdfast.tasks.task import Split


def rows_removed(rows: int, share: float) -> int:
    """Return how many of ``rows`` a ``share`` of them is, to the nearest whole number."""
    return round(share * rows)


def remove_rows(split: Split, share: float, seed: int, label_names: Sequence[str]) -> Split:
    """Return ``split`` without a ``share`` of its rows, the others in file order.

    Which ones is drawn at random whatever their class, as in the published runs, and hangs on ``seed`` and the
    number of rows alone: methods compared on a seed train on the same rows. ``label_names``: of the classes, empty
    where there are none.

    Raises ``HoldfastError`` when that is no row, or leaves none of a class.
    """
    count = rows_removed(len(split), share)
    if count == 0:
        raise HoldfastError(
            f"--perturb data: {share:.0%} of {len(split)} training rows is no row; give more rows or leave it out"
        )
    gone = set(shuffled(range(len(split)), generator("removal", seed))[:count])
    left = split.take([row for row in range(len(split)) if row not in gone])
    if label_names:
        lost = _classes(split) - _classes(left)
        if lost:
            names = ", ".join(repr(label_names[label]) for label in sorted(lost))
            raise HoldfastError(
                f"--perturb data: without the {count} rows removed by seed {seed} no training row of class {names} is "
                "left; give more rows of it or leave it out"
            )
    return left


def _classes(split: Split) -> set[int]:
    return {tag for row in split.tags for tag in row} if split.words is not None else set(split.classes)

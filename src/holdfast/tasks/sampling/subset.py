"""Rows drawn from a split: nested, so that a larger training set contains every smaller one."""

from __future__ import annotations

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.sampling.drawing import generator, shuffled
from holdfast.tasks.task import Split


def draw_subset(split: Split, size: int, seed: int, kind: Kind) -> Split:
    """Draw ``size`` rows without replacement, in file order.

    For one seed the subset of size n is part of that of any larger size. Classification: one row of each
    class first, then classes in proportion to their share by the Sainte-Laguë method, which never takes a
    row back when the size grows. Other kinds and unlabelled rows: at random.

    A split of fewer rows is returned whole, so that small tasks can stand beside larger ones in a study. Raises
    ``HoldfastError`` when there are more classes than rows to draw.
    """
    if size < 1:
        raise HoldfastError(f"--train-size {size}: draw at least 1 row")
    if size > len(split):
        return split
    order = shuffled(range(len(split)), generator("subset", seed))
    if kind == "classification" and split.labels is not None:
        order = _by_class(order, split.classes, size)
    return split.take(sorted(order[:size]))


def _by_class(order: list[int], labels: list[int], size: int) -> list[int]:
    members: dict[int, list[int]] = {label: [] for label in sorted(set(labels))}
    for row in order:
        members[labels[row]].append(row)
    if size < len(members):
        raise HoldfastError(
            f"--train-size {size}: there are {len(members)} classes, each needs a row; give at least {len(members)}"
        )
    ranked = [
        (place > 0, (2 * place + 1) / len(rows), label, row)
        for label, rows in members.items()
        for place, row in enumerate(rows)
    ]
    return [row for *_, row in sorted(ranked)]

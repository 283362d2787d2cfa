"""A validation split out of the training rows, where the data have none."""

from __future__ import annotations

from collections.abc import Hashable

from holdfast.errors import HoldfastError
from holdfast.records.task import Kind
from holdfast.tasks.overlap import same_text_key
from holdfast.tasks.sampling.drawing import generator, shuffled
from holdfast.tasks.task import Split


def hold_out(train: Split, share: float, kind: Kind, place: str) -> tuple[Split, Split]:
    """Split the rows into training and validation rows, both in file order; always the same way.

    Stratified by class for classification, else at random. Rows with the same texts stay together,
    so no validation example was trained on. A class whose rows all share one text stays in training.

    Raises ``HoldfastError`` when no row can be held out.
    """
    groups: dict[Hashable, list[int]] = {}
    for row in range(len(train)):
        groups.setdefault(same_text_key(train, row), []).append(row)
    classes = train.classes if kind == "classification" else []
    strata: dict[int, list[list[int]]] = {}
    for rows in shuffled(list(groups.values()), generator("holdout")):
        stratum = classes[rows[0]] if kind == "classification" else 0
        strata.setdefault(stratum, []).append(rows)
    held = {row for stratum in strata.values() for row in _choose(stratum, share)}
    if not held:
        raise HoldfastError(
            f"{place}: no validation rows can be held out of {len(train)} training rows; "
            f"add rows or give a validation file with --validation"
        )
    return (
        train.take([row for row in range(len(train)) if row not in held]),
        train.take(sorted(held)),
    )


def _choose(groups: list[list[int]], share: float) -> list[int]:
    """Rows of whole groups, as near to the share as they allow, leaving at least one group in training."""
    rows = sum(len(group) for group in groups)
    target = max(1, round(share * rows))
    chosen: list[int] = []
    left = len(groups)
    for group in groups:
        if left == 1:
            break
        if len(chosen) + len(group) <= target:
            chosen += group
            left -= 1
    smallest = min(groups, key=len)
    if not chosen and len(smallest) <= rows / 2 and left > 1:
        return smallest
    return chosen

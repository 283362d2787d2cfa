"""Holm's correction for several comparisons."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjusted p values in the order given. A None (not tested) stays None but counts in the family.

    Counting it keeps the other verdicts from changing when a missing run is made up for.
    Source: Holm (1979).
    """
    family = len(p_values)
    tested = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * family
    highest = 0.0
    for rank, (p, index) in enumerate(tested):
        highest = max(highest, min(1.0, (family - rank) * p))
        adjusted[index] = highest
    return adjusted

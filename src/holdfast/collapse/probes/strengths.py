"""The strength of a probe's penalty, chosen on training rows that are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.collapse.probes.rows import spans
from holdfast.tasks.sampling.drawing import generator, shuffled

if TYPE_CHECKING:
    import numpy as np

    from holdfast.collapse.probes.targets import Targets

    Array = np.ndarray[Any, Any]

STRENGTHS = tuple(10.0 ** (half / 2) for half in range(4, -9, -1))
"""Penalties tried, from 100, with which a model of standardised features is next to constant, down to 0.0001."""
_WEAKEST = 1e-8
"""How far the grid goes on downwards where weaker is better."""


def choose_strengths(
    targets: Targets, features: Array, rows: Array, strengths: Sequence[float] | None
) -> tuple[float, ...]:
    """Return for each of the ``rows``, ``(sets, n)`` bool, the strength with the least mean loss on the rows it lacks.

    Of strengths that do equally well the strongest is taken; where the sets lack no row, the middle one. ``strengths``
    None: ``STRENGTHS``, and while the weakest is the best of a set, a decade further, to 1e-8 at the least.
    """
    import numpy as np

    tried = np.sort(np.asarray(STRENGTHS if strengths is None else strengths, dtype=np.float64))[::-1]
    if rows.all():
        return (float(tried[len(tried) // 2]),) * len(rows)
    losses = _held_out_losses(targets, features, tried, rows)
    while strengths is None and (losses.argmin(axis=1) == len(tried) - 1).any() and tried[-1] > 1.5 * _WEAKEST:
        weaker = tried[-1] * np.array([10**-0.5, 0.1])
        losses = np.concatenate([losses, _held_out_losses(targets, features, weaker, rows)], axis=1)
        tried = np.concatenate([tried, weaker])
    return tuple(float(tried[best]) for best in losses.argmin(axis=1))


def _held_out_losses(targets: Targets, features: Array, strengths: Array, rows: Array) -> Array:
    """Return mean losses, ``(sets, strengths)``."""
    import numpy as np

    fits = targets.fit(features, strengths, rows)
    losses = np.zeros(fits.biases.shape[:2])
    for of_set, chosen in enumerate(rows):
        held = np.flatnonzero(~chosen)
        for span in spans(len(held), features.shape[1] + fits.biases[0].size):
            outputs = fits.outputs(features[held[span]], of_set)
            losses[of_set] += targets.losses(outputs, held[span]).sum(axis=1)
        losses[of_set] /= len(held)
    return losses


def held_out(strata: Array, share: float, seed: int) -> Array:
    """Return the numbers of the rows to hold out: ``share`` of all, at least one, of each stratum in proportion.

    ``strata`` ``(n,)`` integers. Each stratum keeps a row, so none is returned where no stratum has two.
    """
    import numpy as np

    order = np.asarray(shuffled(range(len(strata)), generator("probe", seed)))
    ranked = []
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        # Sainte-Lague's quotients: the first so many of all strata's rows are in proportion.
        ranked += [((2 * place + 1) / len(members), int(row)) for place, row in enumerate(members[:-1])]
    count = max(1, math.floor(share * len(strata) + 0.5))
    return np.array([row for _, row in sorted(ranked)[:count]], dtype=np.int64)

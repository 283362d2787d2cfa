"""What tuning did to every hidden layer, on the same rows before and after, without labels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.measures.geometry import Geometry, geometry
from holdfast.measures.representations import LEAST_ROWS, linear_cka, varies
from holdfast.records.run import LayerMeasures


def measure_layers(states: NDArray[Any], reference: NDArray[Any]) -> list[LayerMeasures]:
    """Return the measures of each layer of ``states`` against ``reference``, (layers, rows, width) each.

    As ``layer_states`` gives them for the same rows in the same order; widths may differ. No measure depends on a
    layer's scale, so layers may be scaled to fit float16, as the runs of a study keep them (see ``effective_rank`` for
    what that costs). A layer of 512 rows and 1024 dimensions takes about 0.1 s.

    Raises ``HoldfastError`` for arrays whose layers or rows differ, and for fewer than 4 rows.
    """
    if states.ndim != 3 or reference.ndim != 3 or states.shape[:2] != reference.shape[:2]:
        raise HoldfastError(
            f"states of shape {states.shape} and their reference of {reference.shape}: "
            "give (layers, rows, width) of the same layers and rows"
        )
    if states.shape[1] < LEAST_ROWS:
        raise HoldfastError(f"states of {states.shape[1]} rows: layers are measured over at least {LEAST_ROWS}")
    return [measure_layer(layer, *pair) for layer, pair in enumerate(zip(states, reference, strict=True))]


def measure_layer(layer: int, after: NDArray[Any], before: NDArray[Any]) -> LayerMeasures:
    """Return the measures of one layer, (rows, width) of the same rows each, and its number ``layer`` with them."""
    now, start = _geometry(after), _geometry(before)
    return LayerMeasures(
        layer=layer,
        cka=linear_cka(after, before) if now is not None and start is not None else None,
        effective_rank=None if now is None else now.effective_rank,
        effective_rank_start=None if start is None else start.effective_rank,
        participation_ratio=None if now is None else now.participation_ratio,
        participation_ratio_start=None if start is None else start.participation_ratio,
        mean_cosine=None if now is None else now.mean_cosine,
        mean_cosine_start=None if start is None else start.mean_cosine,
    )


def _geometry(states: NDArray[Any]) -> Geometry | None:
    return geometry(states) if np.isfinite(states).all() and varies(states) else None

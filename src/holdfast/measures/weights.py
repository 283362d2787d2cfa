"""How far apart two sets of weights are."""

import math
from collections.abc import Mapping

from torch import Tensor

from holdfast.errors import HoldfastError, nearest


def weight_distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    """Return the Euclidean distance between two sets of weights by name, as state dicts hold them: |w_0 - w_*|.

    Whole numbers, such as positions and counters, do not count. Leave out a head that was drawn anew: its start
    is no pre-trained weight. Raises ``HoldfastError`` where names or shapes differ.
    """
    for name in sorted(a.keys() ^ b.keys()):
        other = b if name in a else a
        raise HoldfastError(f"only one of the two models has {name!r}{nearest(name, other)}: compare the same weights")
    total = 0.0
    for name, weight in a.items():
        if weight.shape != b[name].shape:
            raise HoldfastError(f"{name} is {tuple(weight.shape)} in one model and {tuple(b[name].shape)} in the other")
        if weight.is_floating_point():
            # On the processor and one weight at a time: float64 of a whole model would fill a device.
            gap = weight.detach().cpu().double() - b[name].detach().cpu().double()
            total += float((gap * gap).sum())
    return math.sqrt(total)

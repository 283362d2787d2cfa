"""How the classes lie in the pre-trained features: norms and margins."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from holdfast.records.diagnosis import Features, PairMargin
from holdfast.stability.estimators import feature_norm
from holdfast.stability.head_descent import with_constant
from holdfast.stability.margin import hard_margin

_PAIRS = 45
"""Pairs of classes whose margin is found: all of 10 classes."""
_SHUFFLES = 3
_NEARLY_HARD = 100.0
"""C of the soft margin, on features whose mean norm is 1."""


def describe_features(x: Tensor, y: Tensor, names: Sequence[str], lower_layers: int, seed: int) -> Features:
    """Return how the classes ``y``, (n,), lie in ``x``, (n, width); ``names`` has each class's, by its index.

    Of more than 10 classes some pairs are drawn with ``seed``.
    """
    x = x.double()
    rows = with_constant(x)
    present, counts = torch.unique(y, return_counts=True)
    pairs = list(combinations(present.tolist(), 2))
    generator = torch.Generator().manual_seed(seed)
    if len(pairs) > _PAIRS:
        pairs = [pairs[index] for index in torch.randperm(len(pairs), generator=generator)[:_PAIRS].sort()[0].tolist()]
    return Features(
        n=len(x),
        classes={names[label]: count for label, count in zip(present.tolist(), counts.tolist(), strict=True)},
        width=x.shape[1],
        feature_norm=feature_norm(rows),
        lower_layers=lower_layers,
        pairs=tuple(_pair(rows, y, a, b, names, generator) for a, b in pairs),
    )


def _pair(rows: Tensor, y: Tensor, a: int, b: int, names: Sequence[str], generator: torch.Generator) -> PairMargin:
    chosen = (y == a) | (y == b)
    rows, y = rows[chosen], y[chosen]
    margin = hard_margin(rows, y)
    shuffled = [hard_margin(rows, y[torch.randperm(len(y), generator=generator)]) for _ in range(_SHUFFLES)]
    margins = [one.margin for one in shuffled if one is not None]
    return PairMargin(
        first=names[a],
        second=names[b],
        rows=len(y),
        margin=None if margin is None else margin.margin,
        shuffled=sum(margins) / _SHUFFLES if len(margins) == _SHUFFLES else None,
        soft_errors=_soft_errors(rows, y) if margin is None else None,
    )


def _soft_errors(rows: Tensor, y: Tensor) -> float:
    from sklearn.svm import SVC

    scaled = (rows / rows.norm(dim=1).mean()).numpy()
    # The rows hold the constant, but SVC's own intercept is free where that weight is not.
    return 1 - float(SVC(kernel="linear", C=_NEARLY_HARD).fit(scaled, y.numpy()).score(scaled, y.numpy()))

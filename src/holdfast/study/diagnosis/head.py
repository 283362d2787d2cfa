"""Head tuning on a task's own features: how stable it is, and what would change that."""

from collections.abc import Callable

import torch
from torch import Tensor

from holdfast.measures.predictions import pairwise_disagreement
from holdfast.records.diagnosis import HeadResult, HeadTuning, Lever
from holdfast.stability.head_descent import largest_learning_rate, with_constant
from holdfast.stability.leave_one_out import leave_one_out_head
from holdfast.stability.seed_spread import head_seed_spread

RATE_SHARE = 0.5
"""Learning rate, as a share of the one from which on gradient descent may overshoot."""
HEADS = 10
"""That of the paper's method by default here (``MHLoss``)."""
HALVES = 4
"""Draws of half the rows: one alone would say little."""
_LEAST_ROWS = 3
"""Of a class, so that 2 of them are in a half: leaving out the only row would leave out the class."""
_WORK = 8e10
"""Products in the costliest of the trainings: some seconds on two cores."""
_FEWEST = 20


def measure_head(
    x: Tensor,
    y: Tensor,
    steps: int,
    *,
    init_scale: float,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> HeadTuning:
    """Measure head tuning on ``x``, (n, d), and classes ``y``, (n,), as given and with one thing changed at a time.

    Full-batch gradient descent of ``steps`` steps at half the rate from which on it may overshoot. Every row is left
    out once, or, where that took too long, at least 20 drawn with ``seed``. The losses of several heads are summed, so
    that each is trained as one head would be. ``progress`` is told how many of its 6 parts are done. Raises
    ``HoldfastError``.
    """
    tell = progress or (lambda done: None)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator)
    x, y = x.double()[order], y[order]
    limit = _rows_left_out(x, y, steps)
    rate = RATE_SHARE * _largest(x, y)

    def measured(x: Tensor, y: Tensor, steps: int = steps, rate: float = rate, heads: int = 1) -> HeadResult:
        return _measure(x, y, steps, rate, heads, init_scale, seed, limit)

    given = measured(x, y)
    tell(1)
    changed: dict[Lever, HeadResult] = {}
    if int(torch.unique(y, return_counts=True)[1].min()) >= _LEAST_ROWS:
        halves = [half(y, generator) for _ in range(HALVES)]
        changed["rows"] = _mean([measured(x[rows], y[rows]) for rows in halves])
    tell(2)
    further = centres_apart(x, y)
    changed["centres"] = measured(further, y, rate=min(rate, RATE_SHARE * _largest(further, y)))
    tell(3)
    changed["rate"] = measured(x, y, rate=rate / 2)
    tell(4)
    changed["steps"] = measured(x, y, steps=2 * steps)
    tell(5)
    changed["heads"] = measured(x, y, heads=HEADS)
    tell(6)
    return HeadTuning(given=given, changed=changed, left_out=limit)


def half(y: Tensor, generator: torch.Generator) -> Tensor:
    """Return half of the rows of each class, the greater half of an odd number, drawn at random, in order."""
    retained = []
    for label in torch.unique(y):
        rows = (y == label).nonzero().flatten()
        retained.append(rows[torch.randperm(len(rows), generator=generator)[: (len(rows) + 1) // 2]])
    return torch.cat(retained).sort().values


def centres_apart(x: Tensor, y: Tensor) -> Tensor:
    """Return the features with the class centres twice as far from each other, and each class as it was around its."""
    centres = torch.stack([x[y == label].mean(dim=0) for label in torch.unique(y)])
    classes = torch.unique(y, return_inverse=True)[1]
    return x + (centres - centres.mean(dim=0))[classes]


def _largest(x: Tensor, y: Tensor) -> float:
    return largest_learning_rate(with_constant(x), len(torch.unique(y)))


def _rows_left_out(x: Tensor, y: Tensor, steps: int) -> int:
    classes = len(torch.unique(y))
    one = len(x) * min(len(x), 2 * x.shape[1]) * steps * HEADS * (1 if classes == 2 else classes)
    return min(len(x), max(_FEWEST, int(_WORK / one)))


def _measure(
    x: Tensor, y: Tensor, steps: int, rate: float, heads: int, init_scale: float, seed: int, limit: int
) -> HeadResult:
    # Rows are in random order, so the first ones are a sample of them.
    rows = range(min(limit, len(x)))
    left = leave_one_out_head(
        x, y, steps, rate, heads, init_scale=init_scale, seed=seed, reduction="sum", left_out=rows
    )
    classes = torch.unique(y, return_inverse=True)[1]
    inputs, own = with_constant(x), classes[: len(rows)]
    with_row = _classes(inputs[: len(rows)], left.direction.expand_as(left.directions))
    without_row = _classes(inputs[: len(rows)], left.directions)
    spread = head_seed_spread(x, y, steps, rate, heads, init_scale=init_scale, seed=seed, reduction="sum")
    by_seed = torch.stack([_classes(inputs, one.expand(len(x), *one.shape)) for one in spread.directions])
    return HeadResult(
        n=len(x),
        steps=steps,
        learning_rate=rate,
        heads=heads,
        leave_one_out=left.mean,
        flips=float((with_row != without_row).double().mean()),
        accuracy=float((without_row == own).double().mean()),
        seed_spread=spread.spread,
        disagreement=pairwise_disagreement(by_seed.numpy()),
    )


def _classes(inputs: Tensor, heads: Tensor) -> Tensor:
    """Return the class, 0..k-1, of row i under head i, (n, d) or (n, d, k)."""
    if heads.ndim == 2:
        return ((heads * inputs).sum(dim=1) > 0).long()
    return torch.einsum("ndk,nd->nk", heads, inputs).argmax(dim=1)


def _mean(results: list[HeadResult]) -> HeadResult:
    measures = ("leave_one_out", "flips", "accuracy", "seed_spread", "disagreement")
    means = {name: sum(getattr(one, name) for one in results) / len(results) for name in measures}
    return results[0].model_copy(update=means)

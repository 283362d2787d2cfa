"""Leave-one-out stability, measured: exactly for head tuning, on a sample of rows for full tuning."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError
from holdfast.measures.weights import weight_distance
from holdfast.stability.head_descent import Reduction, descend, direction, head_problem

_BLOCK = 2**22
"""Scores, rows times heads, that are trained at once: 32 MiB of them."""


@dataclass(frozen=True)
class HeadStability:
    """What leaving each row out changes in a head that was tuned on frozen features."""

    distances: Tensor
    """(n,): | A(S^i)/|A(S^i)| - A(S)/|A(S)| |, between 0 and 2. The notion for head tuning
    ascribed to Fu, So & Collier (2023), not confirmed against its text."""
    parameter_distances: Tensor
    """(n,): | A(S^i) - A(S) |, without normalising; it grows with the heads' norm."""
    loss_changes: Tensor
    """(n,): |loss(A(S^i), z_i) - loss(A(S), z_i)| in nats. Pointwise hypothesis stability, as in the sibling paper
    Fu et al. (AAAI 2023), averaged over i where that takes the expectation."""
    direction: Tensor
    """A(S)/|A(S)|: (d,) or (d, classes), with a last row for the bias."""
    directions: Tensor
    """(n, d) or (n, d, classes): those without row i."""

    @property
    def mean(self) -> float:
        """The mean of ``distances``."""
        return float(self.distances.mean())

    @property
    def max(self) -> float:
        """The greatest of ``distances``."""
        return float(self.distances.max())


def leave_one_out_head(
    x: Tensor,
    y: Tensor,
    steps: int,
    learning_rate: float,
    heads: int = 1,
    *,
    init_scale: float = 0.02,
    seed: int = 0,
    reduction: Reduction = "mean",
    bias: bool = True,
    left_out: Sequence[int] | None = None,
) -> HeadStability:
    """Train a head on all rows and on all but each one, by gradient descent, and return how far apart they end.

    All n + 1 trainings start from the same heads. The definition for two classes is ascribed to Fu, So & Collier
    (2023), not confirmed against its text. Ours: the mean over the n rows and not the expectation over training sets,
    the mean over n - 1 rows in each leave-one-out training, and for more classes the Frobenius norm after taking out
    what all classes share.

    Args:
        x: (n, d) frozen features.
        y: (n,) classes, whole numbers; two classes share one score, more have one each.
        steps: Full-batch steps on the mean logistic loss of the rows.
        learning_rate: Of gradient descent; see ``largest_learning_rate``.
        heads: Heads, of which A(S) is the mean.
        init_scale: Heads start from N(0, init_scale^2).
        seed: Of the heads' draw.
        reduction: How the losses of several heads are put together; the mean takes the learning rate of each
            ``heads`` times down.
        bias: Append -1 to each row; the bias is then a weight like any other, also in the distances.
        left_out: With many rows, those that are left out, one training each, m in place of n in what is returned;
            None leaves each out in turn.

    Raises:
        HoldfastError: Shapes do not fit, a class has a single row, ``left_out`` names no row, or a number is outside
            its range.
    """
    problem = head_problem(
        x, y, steps, learning_rate, heads, init_scale=init_scale, seed=seed, reduction=reduction, bias=bias
    )
    x, y, initial, rate = problem.x, problem.y, problem.initial, problem.rate
    full = average(descend(x, y, initial, steps, rate), heads)
    rows = torch.arange(len(x), device=x.device)
    if left_out is not None:
        _check_rows(left_out, len(x))
        rows = rows[list(left_out)]
    at_once = max(1, _BLOCK // (len(x) * initial[0].numel()))
    parts = []
    for part in torch.split(rows, at_once):
        start = initial.repeat(*[1] * (initial.ndim - 1), len(part))
        parts.append(average(descend(x, y, start, steps, rate, part.repeat_interleave(heads)), heads))
    without = torch.cat(parts)
    full_direction, directions = direction(full)[0], direction(without)
    return HeadStability(
        distances=(directions - full_direction).flatten(1).norm(dim=1),
        parameter_distances=(without - full).flatten(1).norm(dim=1),
        loss_changes=(
            _own_loss(without, x[rows], y[rows]) - _own_loss(full.expand_as(without), x[rows], y[rows])
        ).abs(),
        direction=full_direction,
        directions=directions,
    )


def average(trained: Tensor, heads: int) -> Tensor:
    """Return the mean of each ``heads`` neighbours, (p, d) or (p, d, k), from (d, p * heads) or (d, k, p * heads)."""
    return trained.reshape(*trained.shape[:-1], -1, heads).mean(dim=-1).movedim(-1, 0)


def _check_rows(rows: Sequence[int], n: int) -> None:
    if not rows:
        raise HoldfastError("left_out is empty: name at least one row, or leave it out to take all")
    wrong = [row for row in rows if not 0 <= row < n]
    if wrong:
        raise HoldfastError(f"left_out names row {wrong[0]}: there are rows 0 to {n - 1}")


def _own_loss(heads: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the loss of row i under head i, (n,)."""
    if heads.ndim == 2:
        scores = (heads * x).sum(dim=1)
        return nn.functional.binary_cross_entropy_with_logits(scores, y.to(scores.dtype), reduction="none")
    return nn.functional.cross_entropy(torch.einsum("ndk,nd->nk", heads, x), y, reduction="none")


@dataclass(frozen=True)
class FullStability:
    """What leaving single rows out changes in a model that is trained whole."""

    left_out: tuple[int, ...]
    """The rows that were left out, one training each."""
    distances: tuple[float, ...]
    """| A(S^i) - A(S) | for each of them. The notion of Lei & Ying (2020)."""

    @property
    def mean(self) -> float:
        """The mean of ``distances``: an unbiased estimate of the mean over all rows."""
        return sum(self.distances) / len(self.distances)

    @property
    def max(self) -> float:
        """The greatest of ``distances``: at most the maximum over all rows."""
        return max(self.distances)

    def standard_error(self, n: int) -> float:
        """Return that of ``mean`` as an estimate over all ``n`` rows: 0 when each of them was left out."""
        k = len(self.distances)
        variance = sum((distance - self.mean) ** 2 for distance in self.distances) / (k - 1)
        return float((variance / k * (1 - k / n)) ** 0.5)


def leave_one_out_full(
    train_function: Callable[[tuple[int, ...]], Mapping[str, Tensor]],
    n: int,
    sample: int,
    *,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> FullStability:
    """Train on all ``n`` rows once and once without each of ``sample`` rows, and return the distances.

    All trainings must be equal but for the row left out: the same start, order of the other rows, and draws;
    otherwise the distance is that between seeds.

    Args:
        train_function: Gets the rows to leave out, ``()`` or one index, and returns the trained weights by name.
        n: Training rows.
        sample: Rows to leave out, one a training, drawn without replacement.
        seed: Of that draw.
        progress: Called with the number of trainings done, of ``sample + 1``.

    Raises:
        HoldfastError: ``sample`` is below 2 or above ``n``.
    """
    if not 2 <= sample <= n:
        raise HoldfastError(f"sample is {sample}: leave out between 2 rows and all {n}")
    report = progress or (lambda done: None)
    # A training may go on to change the tensors that it returned.
    whole = {name: weight.detach().clone() for name, weight in train_function(()).items()}
    report(1)
    drawn = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:sample].tolist()
    distances = []
    for done, row in enumerate(drawn, 2):
        distances.append(weight_distance(whole, train_function((row,))))
        report(done)
    return FullStability(tuple(drawn), tuple(distances))

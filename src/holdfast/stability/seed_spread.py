"""How far heads that differ only in the seed of their initialisation end apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.stability.head_descent import Reduction, descend, direction, head_problem, with_constant
from holdfast.stability.leave_one_out import average


@dataclass(frozen=True)
class SeedSpread:
    """Heads tuned on the same rows from different seeds."""

    directions: Tensor
    """(seeds, d) or (seeds, d, classes), each the mean of its heads, of norm 1."""

    @property
    def spread(self) -> float:
        """The standard deviation of the directions: root of the summed squared distances from their mean by seeds - 1.

        Between 0 and about 1, where they have nothing in common.
        """
        apart = self.directions - self.directions.mean(dim=0)
        return float((apart.square().sum() / (len(apart) - 1)).sqrt())

    def accuracies(self, x: Tensor, y: Tensor, *, bias: bool = True) -> Tensor:
        """Return the share of rows that each seed gets right, (seeds,), on rows with the same classes 0..k-1."""
        x = x.to(self.directions)
        rows = with_constant(x) if bias else x
        if self.directions.ndim == 2:
            right = (rows @ self.directions.T > 0) == (y[:, None] > 0)
        else:
            right = torch.einsum("nd,sdk->nsk", rows, self.directions).argmax(dim=-1) == y[:, None]
        return right.to(torch.float64).mean(dim=0)


def head_seed_spread(
    x: Tensor,
    y: Tensor,
    steps: int,
    learning_rate: float,
    heads: int = 1,
    *,
    init_scale: float = 0.02,
    seeds: int = 20,
    seed: int = 0,
    reduction: Reduction = "mean",
    bias: bool = True,
) -> SeedSpread:
    """Train the mean of ``heads`` heads from each of ``seeds`` initialisations and return their directions.

    What ``multi_head_bound`` says of its first term, which falls as 1/sqrt(heads), is seen here. Ours: with
    ``reduction="mean"`` each head takes steps ``heads`` times shorter, remembers its initialisation longer and undoes
    part of that.

    Args:
        x: (n, d) frozen features.
        y: (n,) classes, whole numbers; two classes share one score, more have one each.
        steps: Full-batch steps on the mean logistic loss of the rows.
        learning_rate: Of gradient descent; see ``largest_learning_rate``.
        heads: Heads of one mean.
        init_scale: Heads start from N(0, init_scale^2).
        seeds: Initialisations, at least 2.
        seed: Of all draws together.
        reduction: How the losses of several heads are put together.
        bias: Append -1 to each row; the bias is then a weight like any other.

    Raises:
        HoldfastError: Shapes do not fit, a class has a single row, or a number is outside its range.
    """
    if seeds < 2 or init_scale == 0:
        raise HoldfastError(f"seeds is {seeds} and init_scale {init_scale}: a spread needs 2 seeds that differ")
    problem = head_problem(
        x,
        y,
        steps,
        learning_rate,
        heads,
        groups=seeds,
        init_scale=init_scale,
        seed=seed,
        reduction=reduction,
        bias=bias,
    )
    trained = descend(problem.x, problem.y, problem.initial, steps, problem.rate)
    return SeedSpread(direction(average(trained, heads)))

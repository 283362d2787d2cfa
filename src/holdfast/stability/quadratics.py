"""Full tuning where all that its bound assumes holds: random quadratics with one minimiser in common."""

from dataclasses import dataclass

import torch

from holdfast.errors import HoldfastError
from holdfast.stability.bounds import full_tuning_bound, full_tuning_bound_after


@dataclass(frozen=True)
class QuadraticStability:
    """Measured leave-one-out distances beside the bounds."""

    n: int
    """Examples."""
    distance: float
    """| w_0 - w_* |."""
    lipschitz: float
    """L: the largest gradient of an example within ``distance`` of w_*, beta times ``distance``."""
    mean_distances: tuple[float, ...]
    """The mean over i of | A(S^i) - A(S) | after 1, 2, ... steps."""
    largest_distances: tuple[float, ...]
    """The largest over i."""
    bounds: tuple[float, ...]
    """``full_tuning_bound_after`` 1, 2, ... steps."""
    bound: float
    """``full_tuning_bound``."""


def quadratic_stability(
    n: int,
    *,
    dimension: int = 20,
    curvature: float = 0.1,
    smoothness: float = 1.0,
    distance: float = 1.0,
    steps: int = 100,
    seed: int = 0,
) -> QuadraticStability:
    """Train on ``n`` random quadratics and on all but each one, by gradient descent with learning rate 1/beta.

    f_i(w) = (w - w_*)^T A_i (w - w_*) / 2, A_i with eigenvalues from ``curvature`` to ``smoothness`` in random
    directions. The leave-one-out loss keeps the division by n, as the bound does.

    Args:
        n: Quadratics, at least 2.
        dimension: Of w, at least 2.
        curvature: mu, the least eigenvalue.
        smoothness: beta, the largest one.
        distance: From the start to w_*.
        steps: Steps of gradient descent, at least 2.
        seed: Of all draws.

    Raises:
        HoldfastError: A number is outside its range.
    """
    if n < 2 or dimension < 2 or steps < 2:
        raise HoldfastError(f"n, dimension and steps are {n}, {dimension} and {steps}: give at least 2 of each")
    lipschitz = smoothness * distance
    known = (n, lipschitz, smoothness, curvature, distance)
    bound = full_tuning_bound(*known)
    generator = torch.Generator().manual_seed(seed)
    turns = torch.linalg.qr(torch.randn(n, dimension, dimension, generator=generator, dtype=torch.float64)).Q
    values = torch.rand(n, dimension, generator=generator, dtype=torch.float64)
    values = curvature + (smoothness - curvature) * values
    values[:, 0], values[:, 1] = curvature, smoothness
    matrices = turns @ torch.diag_embed(values) @ turns.mT
    start = torch.randn(dimension, generator=generator, dtype=torch.float64)
    start *= distance / start.norm()
    total = matrices.sum(dim=0)
    # Row 0 is trained on all, row 1 + i without example i; w_* is the origin.
    sums = torch.cat([total[None], total - matrices]) / n
    weights = start.expand(n + 1, dimension)
    means, largest = [], []
    for _ in range(steps):
        weights = weights - torch.einsum("pij,pj->pi", sums, weights) / smoothness
        distances = (weights[1:] - weights[0]).norm(dim=1)
        means.append(float(distances.mean()))
        largest.append(float(distances.max()))
    bounds = tuple(full_tuning_bound_after(step, *known) for step in range(1, steps + 1))
    return QuadraticStability(n, distance, lipschitz, tuple(means), tuple(largest), bounds, bound)

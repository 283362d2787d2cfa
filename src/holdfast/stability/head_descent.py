"""Gradient descent of many linear heads at once on the same features: head tuning with the encoder frozen."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from holdfast.errors import HoldfastError

Reduction = Literal["mean", "sum"]
"""How the losses of several heads are put together: the mean takes the learning rate of each H times down."""


def signed_rows(x: Tensor, y: Tensor) -> Tensor:
    """Return y_i x_i, (n, d), for two classes: y_i is +1 for the greater of the two labels and -1 for the other."""
    return torch.where((y == y.max())[:, None], x, -x)


def with_constant(x: Tensor) -> Tensor:
    """Return [x; -1], (n, d + 1): the vector that a head with a bias multiplies."""
    return torch.cat([x, x.new_full((len(x), 1), -1.0)], dim=1)


def checked(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return the features in float64, the classes as 0..k-1 and their number k.

    ``x`` is (n, d) and ``y`` (n,) of whole numbers. Float64, since what is measured is the difference between two
    trainings that share all but one row. Raises ``HoldfastError`` where shapes do not fit, a feature is not
    finite, or there are fewer than 2 classes or classes with fewer than 2 rows: leaving such a row out would
    leave its class out.
    """
    if x.ndim != 2 or y.ndim != 1 or len(x) != len(y):
        raise HoldfastError(f"x is to be (n, d) and y (n,), not {tuple(x.shape)} and {tuple(y.shape)}")
    if y.is_floating_point() and not bool((y == y.round()).all()):
        raise HoldfastError("y holds fractions: head tuning is measured for classes, give whole numbers")
    if not bool(torch.isfinite(x).all()):
        row = int((~torch.isfinite(x)).any(dim=1).nonzero()[0])
        raise HoldfastError(f"x holds infinite or missing values, first in row {row}: leave such rows out")
    labels, classes, counts = torch.unique(y, return_inverse=True, return_counts=True)
    if len(labels) < 2:
        raise HoldfastError(f"y holds {len(labels)} classes: a head needs at least 2")
    if int(counts.min()) < 2:
        lonely = labels[counts.argmin()].item()
        raise HoldfastError(f"class {lonely} in y has one row: give each class at least 2, or leave the class out")
    return x.detach().to(torch.float64), classes, len(labels)


def head_shape(x: Tensor, classes: int) -> tuple[int, ...]:
    """Return the shape of one head: (d,) for two classes, one score and its sign, and (d, k) for more."""
    return (x.shape[1],) if classes == 2 else (x.shape[1], classes)


def largest_learning_rate(x: Tensor, classes: int = 2) -> float:
    """Return 2n / (s sigma^2): below it, gradient descent on the mean logistic loss of ``x`` (n, d) does not overshoot.

    sigma is the largest singular value of ``x``, as the head multiplies it, and s the smoothness of the loss in the
    scores: 1/4 for two classes (logistic), 1/2 for more (cross entropy). Source: Soudry et al. (2018), the
    condition of their theorem 3 for the loss summed over rows; for the mean, as here, n times that.
    """
    smoothness = 0.25 if classes == 2 else 0.5
    sigma = float(torch.linalg.matrix_norm(x.detach().to(torch.float64), 2))
    if sigma == 0:
        raise HoldfastError("all features are 0: there is nothing that a head could learn from")
    return 2 * len(x) / (smoothness * sigma**2)


def descend(
    x: Tensor, y: Tensor, initial: Tensor, steps: int, learning_rate: float, left_out: Tensor | None = None
) -> Tensor:
    """Return the heads after ``steps`` steps of full-batch gradient descent on the mean loss.

    ``x``, (n, d), is float64 and ``y``, (n,), holds 0..k-1. ``initial`` is (d, m) for two classes: m heads, trained
    on the logistic loss; or (d, k, m): on the cross entropy. Head j does not see row ``left_out[j]``, and its mean
    is over the others.
    """
    rate = learning_rate / (len(x) - (left_out is not None))
    # For two classes the scores are negative margins: their sigmoid is the loss's derivative by them.
    rows = -signed_rows(x, y) if initial.ndim == 2 else x
    residuals = _Residuals(y, initial.shape[1:], left_out)
    heads = initial.reshape(len(initial), -1).clone()
    scores = rows @ heads
    if 2 * x.shape[1] <= len(x):
        transposed = rows.T.contiguous()
        for _ in range(steps):
            torch.mm(rows, heads, out=scores)
            heads.addmm_(transposed, residuals(scores), alpha=-rate)
        return heads.view(initial.shape)
    # With many dimensions the products of the rows with each other are fewer, and no step leaves the rows' span.
    products = rows @ rows.T
    total = torch.zeros_like(scores)
    for _ in range(steps):
        gradients = residuals(scores)
        scores.addmm_(products, gradients, alpha=-rate)
        total.add_(gradients)
    return heads.addmm_(rows.T, total, alpha=-rate).view(initial.shape)


class _Residuals:
    """The derivative of each row's loss by its scores, 0 where a head does not see the row."""

    def __init__(self, y: Tensor, shape: torch.Size, left_out: Tensor | None) -> None:
        self._shape = (len(y), *shape)
        self._targets = nn.functional.one_hot(y).to(torch.float64)[:, :, None]
        self._left_out = left_out
        self._columns = torch.arange(shape[-1], device=y.device)

    def __call__(self, scores: Tensor) -> Tensor:
        """Return a new tensor of the shape of ``scores``, (n, m) or (n, k * m)."""
        errors = scores.view(self._shape)
        errors = errors.sigmoid() if errors.ndim == 2 else torch.softmax(errors, dim=1).sub_(self._targets)
        if self._left_out is not None and errors.ndim == 2:
            errors[self._left_out, self._columns] = 0
        elif self._left_out is not None:
            errors[self._left_out, :, self._columns] = 0
        return errors.view(scores.shape)


def draw_heads(shape: tuple[int, ...], heads: int, init_scale: float, seed: int, device: torch.device) -> Tensor:
    """Return ``heads`` independent heads, (d, heads) or (d, k, heads), with entries from N(0, init_scale^2)."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((heads, *shape), generator=generator, dtype=torch.float64) * init_scale
    return drawn.movedim(0, -1).contiguous().to(device)


def direction(heads: Tensor) -> Tensor:
    """Return heads, (p, d) or (p, d, k), as unit vectors.

    With k scores, what all classes share is taken out first: no prediction depends on it.
    """
    if heads.ndim == 3:
        heads = heads - heads.mean(dim=-1, keepdim=True)
    norms = heads.flatten(1).norm(dim=1)
    if bool((norms == 0).any()):
        raise HoldfastError("a head is 0 and has no direction: take more than 0 steps, or an init_scale above 0")
    unit: Tensor = heads / norms.view(-1, *[1] * (heads.ndim - 1))
    return unit


@dataclass(frozen=True)
class HeadProblem:
    """What heads are trained on and from."""

    x: Tensor
    """(n, d), float64, with the constant for the bias where there is one."""
    y: Tensor
    """(n,) of 0..k-1."""
    initial: Tensor
    """(d, m) or (d, k, m): the heads before training."""
    rate: float
    """The learning rate of each head, whose loss counts 1/H of the whole with ``reduction="mean"``."""


def head_problem(
    x: Tensor,
    y: Tensor,
    steps: int,
    learning_rate: float,
    heads: int,
    *,
    groups: int = 1,
    init_scale: float,
    seed: int,
    reduction: Reduction,
    bias: bool,
) -> HeadProblem:
    """Check the arguments of a head tuning and draw ``groups`` times ``heads`` heads. Raises ``HoldfastError``."""
    check_training(steps, learning_rate, heads, init_scale, reduction)
    x, y, classes = checked(x, y)
    if bias:
        x = with_constant(x)
    initial = draw_heads(head_shape(x, classes), groups * heads, init_scale, seed, x.device)
    return HeadProblem(x, y, initial, learning_rate / heads if reduction == "mean" else learning_rate)


def check_training(steps: int, learning_rate: float, heads: int, init_scale: float, reduction: str) -> None:
    """Raise ``HoldfastError`` for numbers that make no training of heads."""
    if steps < 1:
        raise HoldfastError(f"steps is {steps}: give at least 1")
    if not learning_rate > 0:
        raise HoldfastError(f"learning_rate is {learning_rate}: give a number above 0")
    if heads < 1:
        raise HoldfastError(f"heads is {heads}: give at least 1")
    if not init_scale >= 0:
        raise HoldfastError(f"init_scale is {init_scale}: give 0 or more")
    if heads > 1 and init_scale == 0:
        raise HoldfastError(f"{heads} heads with init_scale 0 are one and the same: give an init_scale above 0")
    if reduction not in ("mean", "sum"):
        raise HoldfastError(f"reduction is {reduction!r}: give 'mean' or 'sum'")

"""One thing varied at a time: what the bounds say of it beside what is measured, repeated with other draws."""

from collections.abc import Callable, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from holdfast.stability.head_descent import Reduction, largest_learning_rate, with_constant
from holdfast.stability.leave_one_out import leave_one_out_head
from holdfast.stability.quadratics import quadratic_stability
from holdfast.stability.seed_spread import head_seed_spread
from holdfast.stability.synthetic import gaussians

REPETITIONS = 10
"""Draws of each simulation: enough for an interval, a few seconds in all."""
ROWS, DIMENSION, DISTANCE, STEPS = 60, 20, 2.0, 1000
"""Of the sets of heads, apart from what is varied."""
CLEAR, NOISY = 0.125, 1.0
"""Standard deviation within a class: classes 2 apart with a wide gap between them, and with next to none."""
FEW_STEPS = 10
"""Steps in the simulations of many heads, so that the initialisation still counts."""
INIT_SCALE = 0.1
_SEEDS = 20
_STRICT = ConfigDict(frozen=True, extra="forbid")


class Slope(BaseModel):
    """Of the logarithm of what is measured in the logarithm of what is varied: -1 stands for 1/n."""

    model_config = _STRICT

    value: float
    """The mean over repetitions."""
    low: float
    """95 % interval by Student's t, lower end."""
    high: float
    """Upper end."""


class Sweep(BaseModel):
    """One thing varied, one measured."""

    model_config = _STRICT

    values: tuple[float, ...]
    """Of what is varied."""
    measured: tuple[tuple[float, ...], ...]
    """For each repetition, for each of ``values``."""
    slope: Slope
    """How steeply it rises or falls."""

    @property
    def means(self) -> list[float]:
        """The mean over repetitions at each of ``values``."""
        return [float(one) for one in np.mean(self.measured, axis=0)]


class Simulations(BaseModel):
    """Full tuning where all its bound assumes holds, and head tuning on two Gaussian classes."""

    model_config = _STRICT

    seed: int
    """Of all draws."""
    quadratics: Sweep
    """Full tuning of quadratics with one minimiser in common: the mean leave-one-out distance over rows, at the step
    at which it is largest, against n."""
    quadratic_bounds: tuple[float, ...]
    """``full_tuning_bound`` for each n."""
    quadratic_share: float
    """The largest share of the bound for its step that a distance of any row, at any step, of any repetition is."""
    rows: Sweep
    """Leave-one-out distance of a head against n."""
    centre_distance: Sweep
    """Against the distance between the class centres."""
    steps_clear: Sweep
    """Against the steps of gradient descent, classes far apart."""
    steps_noisy: Sweep
    """The same, classes that nearly overlap."""
    heads_sum: Sweep
    """Seed spread of the mean of H heads against H, after a few steps on the sum of their losses."""
    heads_mean: Sweep
    """The same on the mean of their losses."""


def simulate(seed: int = 0, *, repetitions: int = REPETITIONS) -> Simulations:
    """Run all simulations; some seconds. Deterministic in ``seed``."""
    rows = (10, 20, 40, 80)
    # Several numbers of rows with one seed would share draws.
    simulated = [
        [quadratic_stability(n, seed=_draw(seed, repetition, n)) for n in rows] for repetition in range(repetitions)
    ]
    shares = [
        distance / bound
        for line in simulated
        for one in line
        for distance, bound in zip(one.largest_distances, one.bounds, strict=True)
    ]
    steps = (10, 100, 1000, 10_000)
    heads = (1, 5, 20, 50)

    def swept(measure: Callable[[int, float], float], values: Sequence[float]) -> Sweep:
        return sweep(values, [[measure(_draw(seed, one), value) for value in values] for one in range(repetitions)])

    return Simulations(
        seed=seed,
        quadratics=sweep(rows, [[max(one.mean_distances) for one in line] for line in simulated]),
        quadratic_bounds=tuple(one.bound for one in simulated[0]),
        quadratic_share=max(shares),
        rows=swept(lambda draw, n: _left_out(draw, n=int(n)), (20, 40, 80, 160)),
        centre_distance=swept(lambda draw, distance: _left_out(draw, distance=distance), (1.0, 2.0, 3.0, 4.0)),
        steps_clear=swept(lambda draw, number: _left_out(draw, steps=int(number)), steps),
        steps_noisy=swept(lambda draw, number: _left_out(draw, steps=int(number), noise=NOISY), steps),
        heads_sum=swept(lambda draw, number: _spread(draw, int(number), "sum"), heads),
        heads_mean=swept(lambda draw, number: _spread(draw, int(number), "mean"), heads),
    )


def sweep(values: Sequence[float], measured: Sequence[Sequence[float]]) -> Sweep:
    """Return a ``Sweep`` with its slope: a straight line for each repetition, and the mean over 2 or more of them."""
    from scipy.special import stdtrit

    slopes = np.polyfit(np.log(values), np.log(np.transpose(measured)), 1)[0]
    reach = float(stdtrit(len(slopes) - 1, 0.975) * slopes.std(ddof=1) / len(slopes) ** 0.5)
    middle = float(slopes.mean())
    lines = tuple(tuple(map(float, line)) for line in measured)
    return Sweep(
        values=tuple(map(float, values)),
        measured=lines,
        slope=Slope(value=middle, low=middle - reach, high=middle + reach),
    )


def _left_out(
    draw: int, *, n: int = ROWS, distance: float = DISTANCE, noise: float = CLEAR, steps: int = STEPS
) -> float:
    x, y = gaussians(n, DIMENSION, distance, noise, np.random.default_rng(draw))
    rate = largest_learning_rate(with_constant(x)) / 2
    return leave_one_out_head(x, y, steps, rate, init_scale=INIT_SCALE, seed=draw).mean


def _spread(draw: int, heads: int, reduction: Reduction) -> float:
    x, y = gaussians(ROWS, DIMENSION, DISTANCE, CLEAR, np.random.default_rng(draw))
    rate = largest_learning_rate(with_constant(x)) / 2
    return head_seed_spread(
        x, y, FEW_STEPS, rate, heads, init_scale=INIT_SCALE, seeds=_SEEDS, seed=draw, reduction=reduction
    ).spread


def _draw(*numbers: int) -> int:
    """Return a seed that differs for different ``numbers``."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])

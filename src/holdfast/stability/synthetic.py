"""Hundreds of generated classification sets: how stable head tuning is, measured, beside its bound."""

from collections.abc import Callable
from typing import Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor

from holdfast.errors import HoldfastError
from holdfast.stability.bounds import head_tuning_bound, least_heads, multi_head_bound
from holdfast.stability.correlations import LEAST, Correlation, rank_correlation
from holdfast.stability.head_descent import largest_learning_rate, with_constant
from holdfast.stability.leave_one_out import leave_one_out_head
from holdfast.stability.margin import hard_margin
from holdfast.stability.seed_spread import head_seed_spread

FACTORS = ("n", "margin", "dimension", "steps", "learning_rate_share", "heads")
"""What the bounds and the paper's abstract are about, and so what correlations are taken with."""
MEASURES = ("leave_one_out", "leave_one_out_max", "seed_spread", "accuracy_spread", "margin_gap")
"""What is measured of each set."""
BOUNDS = ("bound", "shared_bound")
"""What is worked out for it: with its own constants, and with those that all sets share."""
DELTA = 0.5
"""The bound for many heads holds with probability one minus this; 10 heads allow no less than 0.37."""
_TEST_ROWS = 1000
_DRAWS = 20
"""Sets drawn at most for each that is kept."""
_STRICT = ConfigDict(frozen=True, extra="forbid")


class SyntheticRanges(BaseModel):
    """From what sets are drawn: log-uniformly between both ends, heads each as often. Our choice throughout."""

    model_config = _STRICT

    n: tuple[int, int] = (20, 200)
    """Training rows, half of each class."""
    dimension: tuple[int, int] = (5, 50)
    """Features."""
    centre_distance: tuple[float, float] = (1.0, 4.0)
    """Between the centres of the two Gaussian classes."""
    noise: tuple[float, float] = (0.1, 1.0)
    """Standard deviation of each feature within a class."""
    steps: tuple[int, int] = (10, 2000)
    """Steps of gradient descent."""
    learning_rate_share: tuple[float, float] = (0.05, 0.95)
    """Of the learning rate from which on gradient descent may overshoot."""
    heads: tuple[int, ...] = (1, 3, 10)
    """Heads that are averaged."""
    init_scale: float = 0.1
    """Standard deviation of each initial weight of a head."""
    seeds: int = 10
    """Initialisations for the seed spread."""
    reduction: Literal["mean", "sum"] = "sum"
    """Over the heads' losses. With the mean, heads and learning rate would be one factor."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        least = {"n": 4, "dimension": 1, "centre_distance": 0, "noise": 0, "steps": 3, "learning_rate_share": 0}
        for name, lowest in least.items():
            low, high = getattr(self, name)
            if not (lowest <= low <= high and high > 0 and low > 0):
                raise HoldfastError(f"{name} is {low} to {high}: give a range that rises, above 0, from {lowest} on")
        if not self.heads or min(self.heads) < 1:
            raise HoldfastError(f"heads is {self.heads}: give one or more numbers of at least 1")
        if not self.init_scale > 0 or self.seeds < 2:
            raise HoldfastError(
                f"init_scale is {self.init_scale} and seeds {self.seeds}: a spread needs 2 seeds that differ"
            )
        return self


class SyntheticSet(BaseModel):
    """One generated set: what was drawn, what was found in it, what was measured."""

    model_config = _STRICT

    draw: int
    """Its number among all that were drawn: with the study's seed it gives the same set again."""
    n: int
    """Training rows."""
    dimension: int
    """Features, without the constant for the bias."""
    centre_distance: float
    """Between the class centres."""
    noise: float
    """Standard deviation within a class."""
    steps: int
    """Steps of gradient descent."""
    learning_rate: float
    """Its learning rate."""
    learning_rate_share: float
    """As a share of the largest."""
    heads: int
    """Heads averaged."""
    margin: float
    """gamma of the rows with the constant appended."""
    feature_norm: float
    """B of them."""
    regularisation: float
    """lambda, see ``HardMargin``."""
    leave_one_out: float
    """Mean over rows of the distance between normalised heads with and without the row."""
    leave_one_out_max: float
    """The largest."""
    seed_spread: float
    """Standard deviation of the normalised head over initialisations."""
    accuracy: float
    """Share of 1000 new rows that is right, mean over initialisations."""
    accuracy_spread: float
    """Standard deviation of that over initialisations."""
    margin_gap: float
    """Distance of the normalised head from the direction of the largest margin: what more steps bring down."""
    bound: float
    """The bound for ``heads`` (see ``bounds``) with this set's own lambda and nu = 2 gamma, and C and xi set to 1."""


class SyntheticStudy(BaseModel):
    """All sets and what correlates; ``model_dump_json`` writes it and ``model_validate_json`` reads it."""

    model_config = _STRICT

    seed: int
    """Of all draws."""
    ranges: SyntheticRanges
    """From what sets were drawn."""
    drawn: int
    """Sets drawn, until enough were separable."""
    sets: tuple[SyntheticSet, ...]
    """Those kept."""
    shared_bounds: tuple[float, ...]
    """The bound of each set with the same lambda and nu for all: the least lambda and the greatest nu among them.

    Far too high, and the reading under which the bound has the trends that the paper states: it falls with n and with
    gamma only while lambda and nu stay. A set's own lambda takes the n away, n lambda = 1/(2 max alpha), and
    nu = 2 gamma outweighs the rest of gamma.
    """
    correlations: tuple[Correlation, ...]
    """Of measures and bounds with factors, alone and while the others are held constant; of measures with bounds.

    Keeping separable sets ties factors together: many rows in few dimensions are kept only with a large margin.
    Holding the others constant undoes that as far as ranks do.
    """
    above_bound: int
    """Sets whose mean distance is above the bound."""
    vacuous: int
    """Sets whose bound is above 2, which no distance exceeds."""


def synthetic_study(
    sets: int = 300,
    *,
    seed: int = 0,
    ranges: SyntheticRanges | None = None,
    progress: Callable[[int], None] | None = None,
) -> SyntheticStudy:
    """Draw sets until ``sets`` of them are separable, measure each, and return them with rank correlations.

    Args:
        sets: Separable sets to measure.
        seed: The study is deterministic in it.
        ranges: What is drawn from; None takes ``SyntheticRanges()``.
        progress: Called with the number of sets measured.

    Raises:
        HoldfastError: ``sets`` is fewer than correlations need, or hardly a set drawn is separable.
    """
    least = LEAST + 3 + len(FACTORS)
    if sets < least:
        raise HoldfastError(f"sets is {sets}: correlations need at least {least}")
    ranges = ranges or SyntheticRanges()
    measured: list[SyntheticSet] = []
    drawn = 0
    while len(measured) < sets:
        if drawn == _DRAWS * sets:
            raise HoldfastError(
                f"only {len(measured)} of {drawn} sets drawn are separable: "
                "raise centre_distance or dimension, or lower noise or n"
            )
        measured_set = synthetic_set(ranges, seed, drawn)
        drawn += 1
        if measured_set is not None:
            measured.append(measured_set)
            if progress is not None:
                progress(len(measured))
    shared = _shared_bounds(measured)
    return SyntheticStudy(
        seed=seed,
        ranges=ranges,
        drawn=drawn,
        sets=tuple(measured),
        shared_bounds=shared,
        correlations=_correlations(measured, shared),
        above_bound=sum(one.leave_one_out > one.bound for one in measured),
        vacuous=sum(one.bound > 2 for one in measured),
    )


def synthetic_set(ranges: SyntheticRanges, seed: int, draw: int) -> SyntheticSet | None:
    """Return set number ``draw`` of those that ``seed`` gives, measured, or None when its classes overlap."""
    generator = np.random.default_rng([seed, draw])

    def between(low: float, high: float) -> float:
        return float(np.exp(generator.uniform(np.log(low), np.log(high))))

    n, dimension = round(between(*ranges.n)), round(between(*ranges.dimension))
    distance, noise = between(*ranges.centre_distance), between(*ranges.noise)
    steps, share = round(between(*ranges.steps)), between(*ranges.learning_rate_share)
    heads = int(generator.choice(ranges.heads))
    x, y = gaussians(n, dimension, distance, noise, generator)
    rows = with_constant(x)
    margin = hard_margin(rows, y)
    if margin is None:
        return None
    rate = share * largest_learning_rate(rows)
    scale, reduction = ranges.init_scale, ranges.reduction
    left = leave_one_out_head(x, y, steps, rate, heads, init_scale=scale, seed=draw, reduction=reduction)
    seeds = head_seed_spread(
        x, y, steps, rate, heads, init_scale=scale, seeds=ranges.seeds, seed=draw, reduction=reduction
    )
    accuracies = seeds.accuracies(*gaussians(_TEST_ROWS, dimension, distance, noise, generator))
    return SyntheticSet(
        draw=draw,
        n=n,
        dimension=dimension,
        centre_distance=distance,
        noise=noise,
        steps=steps,
        learning_rate=rate,
        learning_rate_share=share,
        heads=heads,
        margin=margin.margin,
        feature_norm=margin.feature_norm,
        regularisation=margin.regularisation,
        leave_one_out=left.mean,
        leave_one_out_max=left.max,
        seed_spread=seeds.spread,
        accuracy=float(accuracies.mean()),
        accuracy_spread=float(accuracies.std()),
        margin_gap=float((left.direction - margin.direction).norm()),
        bound=_bound(n, steps, heads, margin.margin, margin.feature_norm, margin.regularisation),
    )


def gaussians(
    n: int, dimension: int, distance: float, noise: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return ``n`` rows of two classes in turn; the centres lie on the first axis, as turning changes nothing."""
    y = np.arange(n) % 2
    x = noise * generator.standard_normal((n, dimension))
    x[:, 0] += (y - 0.5) * distance
    return torch.from_numpy(x), torch.from_numpy(y)


def _bound(
    n: int,
    steps: int,
    heads: int,
    margin: float,
    feature_norm: float,
    regularisation: float,
    conversion: float | None = None,
) -> float:
    problem = (n, margin, feature_norm, steps)
    if heads < least_heads(DELTA):
        return head_tuning_bound(*problem, regularisation=regularisation, conversion=conversion)
    return multi_head_bound(heads, DELTA, *problem, regularisation=regularisation, conversion=conversion)


def _shared_bounds(sets: list[SyntheticSet]) -> tuple[float, ...]:
    least = min(one.regularisation for one in sets)
    conversion = max(2 * one.margin for one in sets)
    return tuple(_bound(one.n, one.steps, one.heads, one.margin, one.feature_norm, least, conversion) for one in sets)


def _correlations(sets: list[SyntheticSet], shared: tuple[float, ...]) -> tuple[Correlation, ...]:
    columns = {name: [float(getattr(one, name)) for one in sets] for name in (*FACTORS, *MEASURES, "bound")}
    columns["shared_bound"] = list(shared)
    correlations = []
    for measure in (*MEASURES, *BOUNDS):
        for factor in FACTORS:
            correlations.append(rank_correlation(columns, factor, measure))
            correlations.append(rank_correlation(columns, factor, measure, [one for one in FACTORS if one != factor]))
    correlations.extend(rank_correlation(columns, bound, measure) for measure in MEASURES for bound in BOUNDS)
    return tuple(one for one in correlations if one is not None)

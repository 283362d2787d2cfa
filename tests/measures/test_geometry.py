"""Measures without labels, against matrices by hand, plain Python, and their invariances and ranges."""

import math

import numpy as np
import pytest
from scipy.stats import ortho_group

from holdfast.collapse import effective_rank, mean_cosine, participation_ratio
from holdfast.errors import HoldfastError
from holdfast.measures.geometry import geometry

MEASURES = {"effective_rank": effective_rank, "participation_ratio": participation_ratio, "mean_cosine": mean_cosine}
CENTRED = {name: MEASURES[name] for name in ("effective_rank", "participation_ratio")}


def example(rows=40, width=9, seed=0):
    generator = np.random.default_rng(seed)
    return generator.standard_normal((rows, width)) * np.geomspace(1, 0.05, width) + generator.standard_normal(width)


# By hand


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_directions_of_equal_size_have_rank_k(k):
    """Rows at plus and minus each axis: mean zero, all singular values sqrt(2)."""
    x = np.zeros((max(4, 2 * k), 7))
    for axis in range(k):
        x[2 * axis, axis], x[2 * axis + 1, axis] = 1, -1
    assert effective_rank(x) == pytest.approx(k)
    assert participation_ratio(x) == pytest.approx(k)


def test_unequal_directions_by_hand():
    """Singular values 3 sqrt(2) and sqrt(2): shares 3/4 and 1/4; eigenvalues as 9 to 1."""
    x = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]])
    assert effective_rank(x) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    assert participation_ratio(x) == pytest.approx((9 + 1) ** 2 / (81 + 1))


def test_the_identity_loses_a_direction_to_its_mean():
    """Centred, n orthogonal unit rows are a regular simplex of n - 1 equal directions; uncentred, at right angles."""
    x = np.eye(6)
    assert effective_rank(x) == pytest.approx(5)
    assert participation_ratio(x) == pytest.approx(5)
    assert mean_cosine(x) == pytest.approx(0, abs=1e-12)
    assert mean_cosine(x - x.mean(axis=0)) == pytest.approx(-1 / 5), "the least that can be"


def test_rows_on_one_ray_have_cosine_one_and_rank_one():
    x = np.outer([1, 2, 3, 10], [3.0, -1.0, 2.0])
    assert mean_cosine(x) == pytest.approx(1)
    assert effective_rank(x) == pytest.approx(1)
    assert participation_ratio(x) == pytest.approx(1)
    x[0] *= -1
    assert mean_cosine(x) == pytest.approx((3 - 3) / 6, abs=1e-12), "of six pairs three are opposed"


# Against the definitions, in other words


@pytest.mark.parametrize(("rows", "width"), [(40, 9), (7, 30), (4, 1)])
def test_ranks_follow_the_definitions(rows, width):
    x = example(rows, width)
    sizes = np.linalg.svd(x - x.mean(axis=0), compute_uv=False)
    shares = [size / sum(sizes) for size in sizes if size > 1e-9 * sizes[0]]
    assert effective_rank(x) == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)), rel=1e-5)
    covariance = np.atleast_2d(np.cov(x, rowvar=False))
    assert participation_ratio(x) == pytest.approx(np.trace(covariance) ** 2 / np.trace(covariance @ covariance))


def test_the_mean_cosine_is_that_of_all_pairs():
    x = example(12, 5)
    cosines = []
    for i in range(12):
        for j in range(i):
            dot = sum(a * b for a, b in zip(x[i], x[j], strict=True))
            cosines.append(dot / math.sqrt(sum(a * a for a in x[i])) / math.sqrt(sum(b * b for b in x[j])))
    assert mean_cosine(x) == pytest.approx(sum(cosines) / len(cosines))


def test_all_at_once_is_the_same():
    x = example()
    found = geometry(x)
    assert found.effective_rank == effective_rank(x)
    assert found.participation_ratio == participation_ratio(x)
    assert found.mean_cosine == mean_cosine(x)


# Invariances and ranges


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("width", [9, 70])
def test_rotation_scale_and_order_do_not_matter(name, width):
    x, generator = example(width=width), np.random.default_rng(1)
    turned = x @ ortho_group.rvs(width, random_state=generator)
    measure = MEASURES[name]
    for other in (turned, x[generator.permutation(len(x))], 1e-3 * x, -7e4 * x, 1e200 * x, 1e-200 * x):
        assert measure(other) == pytest.approx(measure(x), rel=1e-6)


@pytest.mark.parametrize("name", CENTRED)
def test_ranks_do_not_see_shifts(name):
    x = example()
    assert CENTRED[name](x + 50) == pytest.approx(CENTRED[name](x), rel=1e-6)


def test_the_cosine_sees_shifts_but_no_scale_of_single_rows():
    x = example()
    assert mean_cosine(x + 50) > 0.99 > mean_cosine(x)
    scales = np.random.default_rng(2).uniform(0.1, 9, (len(x), 1))
    assert mean_cosine(x * scales) == pytest.approx(mean_cosine(x))
    assert abs(effective_rank(x * scales) - effective_rank(x)) > 0.01


@pytest.mark.parametrize(("rows", "width"), [(4, 3), (5, 300), (300, 5), (50, 50)])
def test_ranges_and_the_cap_by_few_rows(rows, width):
    for seed in range(5):
        x = np.random.default_rng(seed).standard_normal((rows, width)) * np.geomspace(1, 1e-3, width)
        cap = min(rows - 1, width)
        assert 1 <= participation_ratio(x) <= effective_rank(x) <= cap + 1e-9
        assert -1 / (rows - 1) - 1e-12 <= mean_cosine(x) <= 1


def test_float16_costs_about_a_percent():
    x = example(512, 64)
    small = (x / np.abs(x).max()).astype(np.float16)
    for name, measure in MEASURES.items():
        assert measure(small) == pytest.approx(measure(x), rel=0.01), name


# What is refused


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.ones(5), r"shape \(5,\)"),
        (np.eye(5, dtype=complex), "matrix of numbers"),
        (np.array([["a"] * 4] * 4), "matrix of numbers"),
        (np.eye(3), "3 rows"),
        (np.ones((5, 3)), "same for every row"),
        (np.array([[1.0, np.nan]] * 5), "not finite"),
    ],
    ids=["vector", "complex", "text", "few", "constant", "nan"],
)
def test_what_has_no_measure_is_refused(name, x, reason):
    with pytest.raises(HoldfastError, match=reason):
        MEASURES[name](x)


def test_a_row_of_zeros_has_no_cosine_but_a_rank():
    x = example()
    x[3] = 0
    with pytest.raises(HoldfastError, match="row 3 "):
        mean_cosine(x)
    assert geometry(x).mean_cosine is None
    assert geometry(x).effective_rank == effective_rank(x) > 1

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.stats import ortho_group

from holdfast.errors import HoldfastError
from holdfast.measures.representations import varies
from holdfast.stability import linear_cka, pairwise_representations, procrustes_similarity, svcca_similarity

MEASURES = {"cka": linear_cka, "svcca": svcca_similarity, "procrustes": procrustes_similarity}


def related(rows=60, width=8, other=11, noise=0.5, seed=0):
    """Two representations that share a part."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((rows, width)) * np.geomspace(1, 0.1, width)
    y = x @ generator.standard_normal((width, other)) + noise * generator.standard_normal((rows, other))
    return x, y


def unbiased_hsic(x, y):
    """Song et al. (2012), equation 5, as it is printed."""
    n = len(x)
    k, other = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(other, 0)
    ones = np.ones(n)
    total = np.trace(k @ other) + ones @ k @ ones * (ones @ other @ ones) / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (ones @ k @ other @ ones)) / (n * (n - 3))


def test_cka_is_the_ratio_of_unbiased_estimates():
    x, y = related()
    expected = unbiased_hsic(x, y) / (unbiased_hsic(x, x) * unbiased_hsic(y, y)) ** 0.5
    assert 0.2 < linear_cka(x, y) < 0.99
    assert linear_cka(x, y) == pytest.approx(expected)


def test_procrustes_is_what_the_best_rotation_leaves():
    x, y = (part - part.mean(axis=0) for part in related(other=8))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    rotation, _ = orthogonal_procrustes(x, y)
    left = np.linalg.norm(x @ rotation - y) ** 2
    assert procrustes_similarity(x, y) == pytest.approx(1 - left / 2)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99, 1.0])
@pytest.mark.parametrize(("rows", "width", "other"), [(60, 8, 11), (20, 40, 30), (20, 40, 8)])
def test_svcca_is_the_mean_cosine_between_the_leading_subspaces(share, rows, width, other):
    """With more rows than dimensions, with fewer, where few directions are left out, and with one of each."""
    x, y = (part - part.mean(axis=0) for part in related(rows, width, other))
    kept = []
    for part in (x, y):
        left, sizes, _ = np.linalg.svd(part, full_matrices=False)
        sizes = sizes[sizes > 1e-9]
        count = next(k for k in range(1, len(sizes) + 1) if sizes[:k].sum() >= share * sizes.sum() - 1e-9)
        kept.append(left[:, :count])
    expected = np.cos(subspace_angles(*kept)).mean()
    assert svcca_similarity(x, y, share) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("width", [8, 90])
def test_rotations_shifts_scales_and_the_order_of_rows_do_not_matter(name, width):
    x, y = related(width=width)
    measure = MEASURES[name]
    generator = np.random.default_rng(5)
    rows = generator.permutation(len(x))
    turned = 300 * x @ ortho_group.rvs(width, random_state=generator) + generator.standard_normal(width)
    assert measure(turned[rows], y[rows]) == pytest.approx(measure(x, y), abs=1e-6)
    assert measure(y, x) == pytest.approx(measure(x, y), abs=1e-6)
    assert measure(x, turned) == pytest.approx(1, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURES)
def test_unrelated_representations_of_many_rows_are_not_alike(name):
    x, y = np.random.default_rng(6).standard_normal((2, 3000, 6))
    assert MEASURES[name](x, y) == pytest.approx(0, abs=0.1)


def test_cka_has_no_bias_where_there_are_fewer_rows_than_dimensions():
    """The mean over draws is 0, within four standard errors; biased, it would be above 0.8."""
    found = [linear_cka(*np.random.default_rng(seed).standard_normal((2, 20, 100))) for seed in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 200**0.5
    biased = []
    for seed in range(5):
        x, y = (part - part.mean(axis=0) for part in np.random.default_rng(seed).standard_normal((2, 20, 100)))
        biased.append(np.sum((x @ x.T) * (y @ y.T)) / np.linalg.norm(x @ x.T) / np.linalg.norm(y @ y.T))
    assert min(biased) > 0.8


@pytest.mark.parametrize(("directions", "said"), [(4, 0.3), (10, 0.4), (20, 0.6), (39, 1.0)])
def test_correlations_are_inflated_where_rows_are_few(directions, said):
    """The docstring's numbers, with 40 rows of unrelated representations."""
    draw = np.random.default_rng(7).standard_normal
    found = np.mean([svcca_similarity(*draw((2, 40, directions)), 1.0) for _ in range(40)])
    assert found == pytest.approx(said, abs=0.05)


def test_pairs_of_runs_are_averaged_over():
    runs = [related(seed=seed)[1] for seed in range(4)]
    found = pairwise_representations(runs)
    for name, measure in MEASURES.items():
        distances = [1 - measure(runs[i], runs[j]) for i in range(4) for j in range(i)]
        assert getattr(found, name) == pytest.approx(np.mean(distances), abs=1e-6)


def test_same_runs_are_at_distance_zero():
    run = related()[1].astype(np.float16)
    found = pairwise_representations([run] * 3)
    assert [found.cka, found.svcca, found.procrustes] == pytest.approx([0, 0, 0], abs=1e-6)


@pytest.mark.parametrize(("runs", "unlike"), [(10, 25 / 45), (12, 1 / 2), (20, 1)])
def test_of_many_runs_every_one_counts_as_often(runs, unlike):
    """Two kinds of runs in turn: of all pairs 5 x 5 are unlike, of the next two on the circle half, of the next all."""
    kinds = related(other=8)
    found = pairwise_representations([kinds[run % 2] for run in range(runs)])
    assert found.cka == pytest.approx((1 - linear_cka(*kinds)) * unlike)


def test_rows_that_differ_by_rounding_only_do_not_vary():
    row = np.random.default_rng(8).standard_normal(50) * np.geomspace(1, 1e-4, 50)
    noisy = row + 1e-7 * np.random.default_rng(9).standard_normal((10, 50))
    assert not varies(noisy.astype(np.float32))
    assert not varies(noisy.astype(np.float16))
    assert varies(noisy)
    assert varies((row + 0.05 * np.random.default_rng(9).standard_normal((10, 50))).astype(np.float16))


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.eye(3), "3 rows"),
        (np.ones((5, 2)), "same for every row"),
        (np.full((5, 2), np.inf), "not finite"),
        (np.arange(5.0), "matrix"),
        (np.arange(12.0).reshape(6, 2), "6 rows and the first 5"),
    ],
)
def test_what_cannot_be_compared_is_refused(x, said):
    good = np.arange(10.0).reshape(5, 2) ** 2
    for measure in MEASURES.values():
        with pytest.raises(HoldfastError, match=said):
            measure(good, x)
    with pytest.raises(HoldfastError, match=said):
        pairwise_representations([good, x])


def test_arguments_are_checked():
    x, y = related()
    with pytest.raises(HoldfastError, match="at least two"):
        pairwise_representations([x])
    with pytest.raises(HoldfastError, match="share is 99"):
        svcca_similarity(x, y, 99)


def test_rows_that_are_equally_far_apart_align_with_nothing():
    assert linear_cka(np.eye(6), related(rows=6)[0]) == 0

import pytest
import torch
from sklearn.svm import LinearSVC

from holdfast.study.diagnosis.geometry import describe_features
from stability.blobs import blobs


def describe(x, y, names=("a", "b", "c"), seed=0):
    return describe_features(x, y, names, 0, seed)


def test_by_hand():
    """Points at +-3 on a line with the constant appended: the hyperplane is upright, 3 away, and B is sqrt(10)."""
    x = torch.tensor([[3.0], [3.0], [-3.0], [-3.0]])
    found = describe(x, torch.tensor([0, 0, 1, 1]))
    assert found.margin == pytest.approx(3.0)
    assert found.feature_norm == pytest.approx(10**0.5)
    assert (found.n, found.width, found.classes) == (4, 1, {"a": 2, "b": 2})
    assert found.pairs[0].soft_errors is None


def test_the_margin_is_that_of_scikit_learn():
    x, y = blobs(40, 6, 2.0, noise=0.3)
    found = describe(x, y)
    rows = torch.cat([x, -torch.ones(len(x), 1)], dim=1).numpy()
    machine = LinearSVC(C=1e4, loss="hinge", fit_intercept=False, max_iter=200_000, tol=1e-8).fit(rows, y)
    assert found.margin == pytest.approx(1 / (machine.coef_**2).sum() ** 0.5, rel=1e-3)


def test_classes_that_overlap_have_no_margin():
    x = torch.tensor([[-1.0]] * 3 + [[1.0]] + [[1.0]] * 3 + [[-1.0]])
    found = describe(x, torch.tensor([0] * 4 + [1] * 4))
    assert found.margin is None
    assert found.pairs[0].margin is None
    assert found.pairs[0].soft_errors == pytest.approx(0.25)


def test_shuffled_labels_tell_classes_from_dimension():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(30, 200, generator=generator)
    y = torch.arange(30) % 2
    (pair,) = describe(noise, y).pairs
    assert pair.margin == pytest.approx(pair.shuffled, rel=0.1)
    noise[:, 0] += 30.0 * (y - 0.5)
    (pair,) = describe(noise, y).pairs
    assert pair.margin > 2 * pair.shuffled


def test_more_classes_are_looked_at_by_pairs():
    x, y = blobs(18, 4, 2.0, classes=3)
    found = describe(x, y)
    assert [(pair.first, pair.second, pair.rows) for pair in found.pairs] == [
        ("a", "b", 12),
        ("a", "c", 12),
        ("b", "c", 12),
    ]
    assert found.margin == min(pair.margin for pair in found.pairs)


def test_of_many_classes_some_pairs_are_drawn():
    x, y = blobs(24, 12, 2.0, classes=12)
    found = describe(x, y, names=[str(label) for label in range(12)])
    assert len({(pair.first, pair.second) for pair in found.pairs}) == 45

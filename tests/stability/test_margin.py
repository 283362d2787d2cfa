import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from holdfast import HoldfastError
from holdfast.stability import hard_margin, with_constant
from stability.blobs import blobs


def test_by_hand():
    """(2, 0) against (-1, 0) and (-2, 5): through the origin the nearest is 1 away, and only x counts."""
    x = torch.tensor([[2.0, 0.0], [3.0, 1.0], [-1.0, 0.0], [-2.0, 5.0]])
    found = hard_margin(x, torch.tensor([1, 1, 0, 0]))
    assert found.margin == pytest.approx(1.0)
    assert found.direction.tolist() == pytest.approx([1.0, 0.0])
    assert found.support == (2,)
    assert found.feature_norm == pytest.approx(29**0.5)
    # w = (1, 0) is -1 times row 2, so alpha is 1, and lambda 1 / (2 * 4 * 1).
    assert found.regularisation == pytest.approx(1 / 8)


def test_against_scikit_learn_where_its_bias_is_zero():
    from sklearn.svm import SVC

    x, y = blobs(30, 6, 3.0, noise=0.5)
    x, y = torch.cat([x, -x]), torch.cat([y, 1 - y])
    found = hard_margin(x, y)
    machine = SVC(C=1e8, kernel="linear", tol=1e-8).fit(x, y)
    assert abs(machine.intercept_[0]) < 1e-5
    assert found.margin == pytest.approx(1 / np.linalg.norm(machine.coef_), rel=1e-5)
    assert found.direction.tolist() == pytest.approx(machine.coef_[0] * found.margin, abs=1e-5)


def test_a_separating_line_that_needs_its_bias():
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    y = torch.tensor([0, 0, 1, 1])
    assert hard_margin(x, y) is None
    # min a^2 + b^2 with 3a - b >= 1 and 2a - b <= -1: a = 2, b = 5.
    assert hard_margin(with_constant(x), y).margin == pytest.approx(1 / 29**0.5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_units_do_not_matter(scale):
    x, y = blobs(40, 10, 2.0, noise=0.3)
    one, other = hard_margin(x, y), hard_margin(scale * x, y)
    assert other.margin == pytest.approx(scale * one.margin)
    assert other.support == one.support
    assert other.regularisation == pytest.approx(scale**2 * one.regularisation)


def test_overlapping_classes_have_none():
    x, y = blobs(200, 3, 1.0, noise=1.0)
    assert hard_margin(x, y) is None
    assert hard_margin(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])) is None
    twice = torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0], [0.0, 1.0]])
    assert hard_margin(twice, torch.tensor([0, 1, 1, 0])) is None


def test_leaving_out_a_row_that_is_no_support_changes_nothing():
    x, y = blobs(40, 10, 2.0, noise=0.3)
    found = hard_margin(x, y)
    for row in range(40):
        kept = torch.arange(40) != row
        without = hard_margin(x[kept], y[kept])
        same = torch.allclose(without.direction, found.direction, atol=1e-9)
        assert same == (row not in found.support)
        assert without.margin >= found.margin * (1 - 1e-9)


def test_regularisation_is_where_soft_margin_solutions_part():
    from sklearn.svm import LinearSVC

    x, y = blobs(30, 4, 2.0, noise=0.3)
    found = hard_margin(x, y)

    def soft(weight):
        solver = LinearSVC(loss="hinge", C=1 / (2 * weight * 30), fit_intercept=False, tol=1e-10, max_iter=10**6)
        return solver.fit(x.numpy(), y.numpy()).coef_[0]

    hard = found.direction.numpy() / found.margin
    assert soft(0.98 * found.regularisation) == pytest.approx(hard, abs=1e-4)
    assert np.abs(soft(1.3 * found.regularisation) - hard).max() > 1e-2


def test_three_classes_against_a_general_solver():
    x, y = blobs(18, 4, 2.0, noise=0.4, classes=3)
    found = hard_margin(x, y)

    def slack(weights):
        scores = x.numpy() @ weights.reshape(4, 3)
        own = scores[np.arange(18), y.numpy()]
        return np.concatenate([(own - scores[:, k] - 1)[y.numpy() != k] for k in range(3)])

    start = found.direction.numpy().ravel() / found.margin * 1.5
    solved = minimize(
        lambda w: w @ w / 2, start, jac=lambda w: w, constraints={"type": "ineq", "fun": slack}, method="SLSQP"
    )
    assert solved.success
    assert found.margin == pytest.approx(1 / np.linalg.norm(solved.x), rel=1e-5)
    assert slack(found.direction.numpy().ravel() / found.margin).min() == pytest.approx(0, abs=1e-9)


def test_refused():
    with pytest.raises(HoldfastError, match="class 7 in y has one row"):
        hard_margin(torch.ones(3, 2), torch.tensor([1, 1, 7]))

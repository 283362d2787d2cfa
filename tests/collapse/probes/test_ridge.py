import numpy as np
import pytest
from sklearn.linear_model import Ridge

from holdfast.collapse.probes.ridge import fit_ridge


@pytest.mark.parametrize(("n", "width"), [(200, 6), (20, 50)])
def test_the_solution_is_scikit_learns(n, width):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((n, width)) + rng.standard_normal(width)
    targets = 1e4 + features[:, 0] + rng.standard_normal(n)
    strengths = np.array([10.0, 0.1, 1e-3])
    rows = np.stack([np.ones(n, dtype=bool), rng.random(n) < 0.7])
    fits = fit_ridge(features, targets, strengths, rows)
    for of_set, kept in enumerate(rows):
        for index, strength in enumerate(strengths):
            theirs = Ridge(alpha=strength * kept.sum(), solver="svd").fit(features[kept], targets[kept])
            np.testing.assert_allclose(fits.weights[of_set, index, 0], theirs.coef_, atol=1e-8)
            assert fits.biases[of_set, index, 0] == pytest.approx(theirs.intercept_, abs=1e-6)


def test_the_definitions_gradient_is_zero():
    rng = np.random.default_rng(1)
    features, targets = rng.standard_normal((30, 4)), rng.standard_normal(30)
    fits = fit_ridge(features, targets, np.array([0.2]), np.ones((1, 30), dtype=bool))
    errors = fits.outputs(features, 0)[0, :, 0] - targets
    np.testing.assert_allclose(features.T @ errors / 30 + 0.2 * fits.weights[0, 0, 0], 0, atol=1e-12)
    assert errors.mean() == pytest.approx(0, abs=1e-12)


def test_one_row_gives_its_own_target():
    features = np.array([[1.0, 2.0], [3.0, 4.0]])
    fits = fit_ridge(features, np.array([5.0, 7.0]), np.array([1e-4, 1.0]), np.array([[True, False]]))
    np.testing.assert_allclose(fits.weights, 0, atol=1e-9)
    np.testing.assert_allclose(fits.biases, 5)

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from holdfast.collapse.probes import logistic
from holdfast.collapse.probes.logistic import fit_logistic


def drawn(n, width, shares, seed=0, apart=1.0, dtype=np.float64):
    """Overlapping classes on features with a decaying spectrum; every class has a row."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(len(shares)), rng.choice(len(shares), n - len(shares), p=shares)])
    spectrum = np.arange(1, width + 1) ** -0.5
    features = rng.standard_normal((n, width)) * spectrum
    features += apart * (rng.standard_normal((len(shares), width)) * spectrum)[labels]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return features.astype(dtype), labels


def whole(n):
    return np.ones((1, n), dtype=bool)


def objective(weights, biases, strength, features, labels):
    """The mean log loss and the penalty, as the definition has them, with a logit for each class."""
    if len(weights) == 1:
        logits = torch.stack([torch.zeros(len(features)), features @ weights[0] + biases[0]], dim=1)
    else:
        logits = features @ weights.T + biases
    return torch.nn.functional.cross_entropy(logits, labels) + strength / 2 * (weights**2).sum()


CASES = {
    "binary": (200, 12, [0.5, 0.5]),
    "unbalanced binary": (300, 8, [0.95, 0.05]),
    "three classes": (250, 10, [0.2, 0.3, 0.5]),
    "six classes, unbalanced": (400, 15, [0.5, 0.3, 0.1, 0.05, 0.03, 0.02]),
    "fewer rows than features, binary": (30, 60, [0.5, 0.5]),
    "fewer rows than features, three classes": (40, 90, [0.4, 0.4, 0.2]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_solution_is_scikit_learns(case):
    n, width, shares = CASES[case]
    features, labels = drawn(n, width, shares)
    strengths = np.array([1.0, 0.05, 0.002])
    rows = np.stack([np.ones(n, dtype=bool), np.arange(n) % 5 != 4])
    fits = fit_logistic(features, labels, len(shares), strengths, rows, tolerance=1e-9)
    assert fits.converged.all()
    for of_set, kept in enumerate(rows):
        for index, strength in enumerate(strengths):
            theirs = LogisticRegression(C=1 / (strength * kept.sum()), solver="newton-cg", tol=1e-9, max_iter=10_000)
            theirs.fit(features[kept], labels[kept])
            np.testing.assert_allclose(fits.weights[of_set, index], theirs.coef_, atol=1e-3)
            np.testing.assert_allclose(fits.biases[of_set, index], theirs.intercept_, atol=1e-3)
            ours, reference = (
                float(
                    objective(
                        *map(torch.from_numpy, pair), strength, *map(torch.from_numpy, (features[kept], labels[kept]))
                    )
                )
                for pair in (
                    (fits.weights[of_set, index], fits.biases[of_set, index]),
                    (theirs.coef_, theirs.intercept_),
                )
            )
            assert ours == pytest.approx(reference, rel=1e-6)


@pytest.mark.parametrize(
    ("shares", "tolerance"), [([0.5, 0.5], 1e-8), ([0.6, 0.3, 0.1], 1e-8), ([0.6, 0.3, 0.1], 1e-4)]
)
def test_the_gradient_is_below_the_tolerance(shares, tolerance):
    features, labels = drawn(150, 20, shares)
    strength = 1e-3
    fits = fit_logistic(features, labels, len(shares), np.array([strength]), whole(150), tolerance=tolerance)
    weights = torch.tensor(fits.weights[0, 0], requires_grad=True)
    biases = torch.tensor(fits.biases[0, 0], requires_grad=True)
    objective(weights, biases, strength, torch.from_numpy(features), torch.from_numpy(labels)).backward()
    assert weights.grad.abs().max() <= 1.001 * tolerance
    assert biases.grad.abs().max() <= 1.001 * tolerance


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.5, 0.3, 0.2]])
def test_members_of_a_grid_are_solved_as_if_alone(shares, monkeypatch):
    """Also when the grid is too large to be solved at once."""
    features, labels = drawn(120, 10, shares)
    strengths = np.logspace(-3, 1, 5)
    rows = np.random.default_rng(1).random((3, 120)) < 0.8
    rows[:, : len(shares)] = True
    together = fit_logistic(features, labels, len(shares), strengths, rows, tolerance=1e-9)
    for of_set in range(3):
        for index in range(5):
            kept = rows[of_set]
            alone = fit_logistic(
                features[kept],
                labels[kept],
                len(shares),
                strengths[index : index + 1],
                whole(kept.sum()),
                tolerance=1e-9,
            )
            np.testing.assert_allclose(together.weights[of_set, index], alone.weights[0, 0], atol=1e-5)
            np.testing.assert_allclose(together.biases[of_set, index], alone.biases[0, 0], atol=1e-5)
    monkeypatch.setattr(logistic, "_SPARE", 0)
    parts = fit_logistic(features, labels, len(shares), strengths, rows, tolerance=1e-9)
    np.testing.assert_allclose(parts.weights, together.weights, atol=1e-5)


def test_invariances():
    """Rotated features rotate the weights; the rows' order and copies and the classes' names do not matter."""
    features, labels = drawn(90, 7, [0.4, 0.4, 0.2])
    rng = np.random.default_rng(2)

    def solve(features, labels):
        fits = fit_logistic(features, labels, 3, np.array([0.01]), whole(len(labels)), tolerance=1e-10)
        return fits.weights[0, 0], fits.biases[0, 0]

    weights, biases = solve(features, labels)
    np.testing.assert_allclose(weights.sum(axis=0), 0, atol=1e-9)
    rotation = np.linalg.qr(rng.standard_normal((7, 7)))[0]
    np.testing.assert_allclose(solve(features @ rotation, labels)[0], weights @ rotation, atol=1e-6)
    order = rng.permutation(90)
    np.testing.assert_allclose(solve(features[order], labels[order])[0], weights, atol=1e-6)
    np.testing.assert_allclose(solve(np.repeat(features, 2, axis=0), np.repeat(labels, 2))[0], weights, atol=1e-6)
    renamed = solve(features, np.array([2, 0, 1])[labels])
    np.testing.assert_allclose(renamed[0][[2, 0, 1]], weights, atol=1e-6)
    np.testing.assert_allclose(renamed[1][[2, 0, 1]], biases, atol=1e-6)


def test_float32_finds_what_float64_finds():
    features, labels = drawn(3000, 40, [0.5, 0.3, 0.2], apart=0.5)
    strengths = np.logspace(-3, 2, 6)
    double = fit_logistic(features, labels, 3, strengths, whole(3000), tolerance=1e-9)
    single = fit_logistic(features.astype(np.float32), labels, 3, strengths, whole(3000), tolerance=1e-6)
    assert single.converged.all()
    np.testing.assert_allclose(single.weights, double.weights, atol=1e-3)
    again = fit_logistic(features.astype(np.float32), labels, 3, strengths, whole(3000), tolerance=1e-6)
    np.testing.assert_array_equal(again.weights, single.weights)


def test_separable_classes_with_next_to_no_penalty_are_solved():
    """Where the logits grow large and the curvature vanishes."""
    features, labels = drawn(40, 100, [0.5, 0.5], apart=3.0, dtype=np.float32)
    fits = fit_logistic(features, labels, 2, np.array([1e-8]), whole(40))
    assert fits.converged.all()
    assert ((fits.outputs(features, 0)[0, :, 0] > 0) == labels).all()


def test_an_unfinished_member_says_so():
    features, labels = drawn(60, 5, [0.5, 0.5])
    fits = fit_logistic(features, labels, 2, np.array([100.0, 1e-4]), whole(60), tolerance=1e-6, max_steps=2)
    assert fits.converged.tolist() == [[True, False]]

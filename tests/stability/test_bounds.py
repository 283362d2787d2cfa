import math

import numpy as np
import pytest

from holdfast import HoldfastError
from holdfast.stability import (
    convex_tuning_bound,
    full_tuning_bound,
    full_tuning_bound_after,
    head_tuning_bound,
    least_heads,
    multi_head_bound,
    soft_margin_bound,
    with_constant,
)
from stability.blobs import blobs

FULL = {"n": 50, "lipschitz": 3.0, "smoothness": 2.0, "curvature": 0.25, "distance": 1.5}
HEAD = {"n": 40, "margin": 0.5, "feature_norm": 3.0, "steps": 100, "regularisation": 0.01}


def recursion(steps):
    """The derivation's own inequality, step by step: what a row moves, on top of what contraction leaves."""
    q = 1 - 0.25 / 2.0
    apart = 0.0
    for t in range(steps):
        gradient = math.sqrt(2 * 2.0 * 3.0 * 1.5 * q ** (t / 2))
        apart = apart * q**0.5 + gradient / (2.0 * 50)
    return apart


def test_full_bound_is_the_limit_of_its_recursion():
    after = [full_tuning_bound_after(steps, **FULL) for steps in range(1, 400)]
    assert after == pytest.approx([recursion(steps) for steps in range(1, 400)], rel=1e-12)
    bound = full_tuning_bound(**FULL)
    assert max(after[1:]) < bound
    # The paper's form drops r^(T-2) (1 - r^T).
    r = (1 - 0.25 / 2.0) ** 0.25
    assert after[6] == pytest.approx(bound * r**5 * (1 - r**7), rel=1e-12)
    assert after[-1] < 1e-4 * bound


def test_full_bound_by_hand():
    """beta 1 and mu 15/16 make the fourth root 1/2; sqrt(2 * 2 * 4) = 4."""
    assert full_tuning_bound(10, 2.0, 1.0, 15 / 16, 4.0) == pytest.approx(4 / (10 * (2 - 1)))
    # sqrt(2 * 8 * 2 * 0.5) = 4.
    assert convex_tuning_bound(5, 10, 2.0, 8.0, 0.5, 0.1) == pytest.approx(0.1 * 5 * 4 / 10)


def test_full_bound_falls_as_the_paper_says():
    bound = full_tuning_bound(**FULL)
    assert full_tuning_bound(**{**FULL, "n": 100}) == pytest.approx(bound / 2)
    assert full_tuning_bound(**{**FULL, "lipschitz": 0.75}) == pytest.approx(bound / 2)
    assert full_tuning_bound(**{**FULL, "distance": 0.375}) == pytest.approx(bound / 2)


def test_head_bound_solves_its_quadratic():
    """The second term is the positive root of n lambda D^2 - B D - 2 (1 + B/gamma)."""
    root = max(np.roots([40 * 0.01, -3.0, -2 * (1 + 3.0 / 0.5)]))
    rate = math.log(math.log(100)) / math.log(100)
    assert head_tuning_bound(**HEAD) == pytest.approx(rate + 2 * 0.5 * root)
    assert head_tuning_bound(**HEAD, convergence=3.0, conversion=0.1) == pytest.approx(3 * rate + 0.1 * root)


def test_head_bound_falls_with_more_rows_steps_and_margin():
    """At constants that stay."""
    bound = head_tuning_bound(**HEAD, conversion=1.0)
    for better in ({"n": 80}, {"steps": 1000}, {"margin": 1.0}, {"feature_norm": 2.0}):
        assert head_tuning_bound(**{**HEAD, **better}, conversion=1.0) < bound


def test_many_heads_shrink_the_first_term_only():
    one = head_tuning_bound(**HEAD)
    rate = math.log(math.log(100)) / math.log(100)
    for heads in (21, 50, 1000):
        many = multi_head_bound(heads, 0.1, **HEAD, init_convergence=2.0)
        assert many - (one - rate) == pytest.approx(2 * rate * math.sqrt((2 + 8 * math.log(10)) / heads))


def test_least_heads():
    assert [least_heads(delta) for delta in (0.5, 0.1, 0.05)] == [8, 21, 26]


def test_soft_margin_solutions_stay_within_both_bounds():
    """scikit-learn's solution of the same problem, trained again without each row."""
    from sklearn.svm import LinearSVC

    n, weight = 24, 0.05
    x, y = blobs(n, 5, 3.0, noise=1.0)
    x = with_constant(x).numpy()

    def solve(kept):
        # Its objective is |w|^2 / 2 + C times the sum of hinge losses; ours keeps the division by n.
        solver = LinearSVC(loss="hinge", C=1 / (2 * weight * n), fit_intercept=False, tol=1e-6, max_iter=10**6)
        return solver.fit(x[kept], y[kept]).coef_[0]

    full = solve(np.arange(n))
    worst = max(np.linalg.norm(solve(np.delete(np.arange(n), i)) - full) for i in range(n))
    largest = np.linalg.norm(x, axis=1).max()
    sharper = soft_margin_bound(n, largest, weight)
    # Its derivation needs the rows' hinge at most 1 + B/gamma: |w| is at most 1/gamma.
    paper = head_tuning_bound(
        n, 1 / np.linalg.norm(full), largest, 10**6, regularisation=weight, conversion=1.0, convergence=1e-12
    )
    assert 0.05 * sharper < worst <= sharper < paper


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: full_tuning_bound(**{**FULL, "curvature": -0.1}), "convex_tuning_bound needs none"),
        (lambda: full_tuning_bound(**{**FULL, "curvature": 2.0}), "below smoothness, 2"),
        (lambda: full_tuning_bound(**{**FULL, "n": 0}), "n is 0"),
        (lambda: full_tuning_bound(**{**FULL, "n": 2.5}), "n is 2.5: give a whole number"),
        (lambda: full_tuning_bound(**{**FULL, "distance": math.nan}), "distance is nan"),
        (lambda: full_tuning_bound_after(0, **FULL), "steps is 0"),
        (lambda: convex_tuning_bound(5, 10, 1.0, 2.0, 1.0, 1.5), "up to 2/smoothness, 1"),
        (lambda: head_tuning_bound(**{**HEAD, "steps": 2}), "at least 3"),
        (lambda: head_tuning_bound(**{**HEAD, "margin": 4.0}), "margin is 4: it cannot be above"),
        (lambda: head_tuning_bound(**{**HEAD, "regularisation": 0.0}), "regularisation is 0.0"),
        (lambda: multi_head_bound(20, 0.1, **HEAD), "heads is 20: with delta 0.1 the bound needs at least 21"),
        (lambda: least_heads(1.0), "delta is 1.0"),
        (lambda: soft_margin_bound(10, math.inf, 1.0), "feature_norm is inf"),
    ],
)
def test_refused(call, message):
    with pytest.raises(HoldfastError, match=message):
        call()

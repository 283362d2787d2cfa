import numpy as np
import pytest
import torch

from holdfast import HoldfastError
from holdfast.stability import quadratic_stability


@pytest.mark.parametrize("n", [10, 20, 40, 80])
@pytest.mark.parametrize("curvature", [0.02, 0.1, 0.6])
def test_the_bound_holds_at_every_step_for_every_row(n, curvature):
    for seed in range(3):
        found = quadratic_stability(n, curvature=curvature, distance=0.5 + seed, steps=60, seed=seed)
        assert all(one <= bound for one, bound in zip(found.largest_distances, found.bounds, strict=True))
        assert max(found.bounds[1:]) < found.bound


def test_distance_falls_as_one_over_n():
    rows = [10, 20, 40, 80]
    worst = [max(quadratic_stability(n, seed=seed).mean_distances) for n in rows for seed in range(3)]
    slope, _ = np.polyfit(np.log(np.repeat(rows, 3)), np.log(worst), 1)
    assert slope == pytest.approx(-1, abs=0.1)
    # What the notes found for the same kind of problem: n times the distance is about 0.61.
    assert np.repeat(rows, 3) * worst == pytest.approx(0.61, rel=0.12)


def test_distance_grows_with_the_way_to_the_minimiser():
    near, far = (quadratic_stability(20, distance=distance) for distance in (0.5, 2.0))
    assert far.mean_distances == pytest.approx([4 * one for one in near.mean_distances])
    assert far.bound == pytest.approx(4 * near.bound)


def test_trainings_end_together():
    """All minimise the same: the finite-step bound says so, the paper's does not."""
    found = quadratic_stability(10, curvature=0.3, steps=200)
    assert found.mean_distances[-1] < 1e-12
    assert found.bounds[-1] < 1e-6 * found.bound


def test_two_rows_by_hand():
    """One step: the gap is the row's own gradient by n beta, A_i w_0 / 2, and A_i w_0 is within [mu, beta] |w_0|."""
    found = quadratic_stability(2, dimension=2, curvature=0.999999, smoothness=1.0, distance=1.0, steps=2)
    assert torch.tensor(found.largest_distances[:1]).item() == pytest.approx(0.5, abs=1e-5)


def test_refused():
    with pytest.raises(HoldfastError, match="n, dimension and steps are 1, 20 and 100"):
        quadratic_stability(1)

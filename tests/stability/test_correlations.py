import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from holdfast.stability.correlations import rank_correlation


def columns(points, rho, seed=0):
    generator = np.random.default_rng(seed)
    a, noise, c = generator.standard_normal((3, points))
    b = rho * a + (1 - rho**2) ** 0.5 * noise
    return {"a": list(np.exp(a)), "b": list(b), "c": list(c), "both": list(b + 3 * c), "flat": [1.0] * points}


def test_equals_scipy():
    given = columns(80, 0.5)
    given["a"][:20] = given["a"][20:40]
    found = rank_correlation(given, "a", "b")
    assert found.rho == pytest.approx(spearmanr(given["a"], given["b"]).statistic)
    assert found.low < found.rho < found.high
    assert (found.points, found.held) == (80, ())


def test_an_interval_by_hand():
    """One swap in 1..20 and z = artanh(rho): 1.96 standard errors of Bonett & Wright either side, 17 = 20 - 3."""
    given = {"a": list(range(20)), "b": [*range(10), 15, *range(11, 15), 10, *range(16, 20)]}
    found = rank_correlation(given, "a", "b")
    rho = 1 - 6 * (2 * 5**2) / (20 * 399)
    assert found.rho == pytest.approx(rho)
    error = ((1 + rho**2 / 2) / 17) ** 0.5
    reach = [np.arctanh(found.high) - np.arctanh(rho), np.arctanh(rho) - np.arctanh(found.low)]
    assert reach == pytest.approx([1.959964 * error] * 2)


def test_holding_constant_is_correlating_residuals():
    given = columns(80, 0.5)
    found = rank_correlation(given, "a", "both", ["c", "flat"])
    a, both, c = (rankdata(given[name]) for name in ("a", "both", "c"))
    design = np.column_stack([np.ones(80), c])
    residuals = [one - design @ np.linalg.lstsq(design, one)[0] for one in (a, both)]
    assert found.rho == pytest.approx(np.corrcoef(residuals)[0, 1])
    assert found.rho > rank_correlation(given, "a", "both").rho + 0.1
    assert found.held == ("c",)


def test_intervals_hold_95_in_100():
    """For normal pairs Spearman's correlation is 6/pi arcsin(rho/2)."""
    truth = 6 / np.pi * np.arcsin(0.7 / 2)
    inside = sum(
        one.low <= truth <= one.high
        for one in (rank_correlation(columns(60, 0.7, seed), "a", "b") for seed in range(400))
    )
    # Three standard errors of 400 draws at 0.95.
    assert inside / 400 == pytest.approx(0.95, abs=0.033)


def test_edges():
    given = columns(20, 0.5)
    assert rank_correlation(given, "a", "flat") is None
    same = rank_correlation(given, "a", "a")
    assert (same.rho, same.low, same.high) == (1, 1, 1)
    with pytest.raises(ValueError, match="20 points are too few"):
        rank_correlation(given, "a", "b", ["c"] * 8)

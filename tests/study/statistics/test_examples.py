import numpy as np
import pytest

from holdfast.study.statistics import welch, with_test_rows

SCORES_A, SCORES_B = [75.0, 50.0, 75.0], [50.0, 25.0, 50.0]
RIGHT_A = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 1]], dtype=float)
RIGHT_B = np.array([[1, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 1]], dtype=float)


def test_standard_errors_add_in_squares() -> None:
    seeds = welch(SCORES_A, SCORES_B, step=25.0)
    both = with_test_rows(seeds, RIGHT_A, RIGHT_B)
    gaps = [100 * (3 / 3 - 2 / 3), 100 * (3 / 3 - 1 / 3), 0.0, 0.0]
    mean = sum(gaps) / 4
    row_variance = sum((gap - mean) ** 2 for gap in gaps) / 3 / 4
    assert both.estimate == seeds.estimate == pytest.approx(mean)
    assert both.standard_error == pytest.approx((seeds.standard_error**2 + row_variance) ** 0.5)
    assert both.df == pytest.approx(seeds.df * (both.standard_error / seeds.standard_error) ** 4)


def test_equal_predictions_add_nothing() -> None:
    seeds = welch(SCORES_A, SCORES_B, step=25.0)
    assert with_test_rows(seeds, RIGHT_A, RIGHT_A).standard_error == pytest.approx(seeds.standard_error)


def test_different_test_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="same 2 or more rows"):
        with_test_rows(welch(SCORES_A, SCORES_B, step=25.0), RIGHT_A, RIGHT_B[:, :3])


def test_new_rows_are_covered_where_seeds_alone_are_not() -> None:
    """Claims about rows never seen, 5 seeds, 300 rows, a true difference of 0."""
    generator = np.random.default_rng(6)
    covered = {"seeds": 0, "both": 0}
    for _ in range(400):
        # Each row favours one method or the other; seeds add little noise of their own.
        logits = generator.normal(0, 1, (2, 1, 300)) + generator.normal(0, 0.3, (2, 5, 300))
        right = (logits > 0).astype(float)
        scores = (100 * right.mean(axis=2)).tolist()
        seeds = welch(scores[0], scores[1], step=100 / 300)
        both = with_test_rows(seeds, right[0], right[1])
        covered["seeds"] += not seeds.interval.excludes_zero()
        covered["both"] += not both.interval.excludes_zero()
    assert covered["seeds"] < 0.6 * 400
    assert covered["both"] >= 0.93 * 400

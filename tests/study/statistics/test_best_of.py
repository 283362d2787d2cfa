from itertools import combinations
from statistics import fmean

import pytest

from holdfast.study.statistics import expected_best


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_is_the_mean_over_all_draws(k: int) -> None:
    scores = [70.0, 66.5, 71.0, 66.5, 80.0]
    assert expected_best(scores, k) == pytest.approx(fmean(max(drawn) for drawn in combinations(scores, k)))


@pytest.mark.parametrize("k", [0, 4])
def test_more_runs_than_there_are_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="between 1 and the number of runs"):
        expected_best([1.0, 2.0, 3.0], k)

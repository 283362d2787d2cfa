from __future__ import annotations

from collections import Counter

import pytest

from holdfast.errors import HoldfastError
from holdfast.tasks.sampling.removal import remove_rows, rows_removed
from holdfast.tasks.task import Split

NAMES = ("no", "yes")


def split(labels: list[int] | list[float] | None, rows: int = 0) -> Split:
    count = len(labels) if labels is not None else rows
    return Split([f"text {i}" for i in range(count)], None, labels, [str(i) for i in range(count)])


def test_a_tenth_goes_and_the_rest_stays_whole_in_file_order() -> None:
    data = split([row % 2 for row in range(50)])
    left = remove_rows(data, 0.1, 3, NAMES)
    rows = [int(name) for name in left.ids]
    assert len(rows) == 45
    assert rows == sorted(set(rows))
    assert left.texts == [f"text {row}" for row in rows]
    assert left.labels == [row % 2 for row in rows]


def test_the_seed_and_the_count_alone_say_which() -> None:
    labelled, other = split([row % 2 for row in range(60)]), split([float(row) for row in range(60)])
    assert remove_rows(labelled, 0.1, 4, NAMES).ids == remove_rows(other, 0.1, 4, ()).ids
    drawn = {tuple(remove_rows(other, 0.1, seed, ()).ids) for seed in range(20)}
    assert len(drawn) == 20


def test_every_row_is_as_likely_to_go() -> None:
    rows, draws = 20, 2000
    data = split(None, rows)
    kept = Counter(name for seed in range(draws) for name in remove_rows(data, 0.1, seed, ()).ids)
    gone = [draws - kept[str(row)] for row in range(rows)]
    # Each 200 on average; 5 standard deviations of a binomial.
    assert all(abs(count - 200) < 5 * (draws * 0.1 * 0.9) ** 0.5 for count in gone)
    assert sum(gone) == 2 * draws


@pytest.mark.parametrize(("rows", "removed"), [(4, 0), (6, 1), (14, 1), (16, 2), (249, 25)])
def test_a_share_is_taken_to_the_nearest_row(rows: int, removed: int) -> None:
    assert rows_removed(rows, 0.1) == removed


def test_a_set_too_small_to_lose_a_row_is_refused() -> None:
    with pytest.raises(HoldfastError, match=r"^--perturb data: 10% of 4 training rows is no row; give more"):
        remove_rows(split([0, 1, 0, 1]), 0.1, 0, NAMES)


def test_a_class_that_vanishes_is_told_by_its_name() -> None:
    data = split([0] * 19 + [1])
    lost = {seed for seed in range(100) if "19" not in remove_rows(split(None, 20), 0.1, seed, ()).ids}
    assert 0 < len(lost) < 100
    for seed in range(100):
        if seed in lost:
            told = f"the 2 rows removed by seed {seed} no training row of class 'yes'"
            with pytest.raises(HoldfastError, match=told):
                remove_rows(data, 0.1, seed, NAMES)
        else:
            assert len(remove_rows(data, 0.1, seed, NAMES)) == 18

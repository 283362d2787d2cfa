import pytest

from holdfast.study.statistics import looks_note


@pytest.mark.parametrize(("looks", "alpha"), [(0, 0.05), (1, 0.05), (2, 0.025), (3, 0.0221), (2, 0.0294)])
def test_silent_where_the_level_allows_for_the_looks(looks: int, alpha: float) -> None:
    assert looks_note(looks, alpha) is None


@pytest.mark.parametrize(
    ("looks", "alpha", "rate"),
    [
        (2, 0.05, "about 8 % instead of 5 %"),
        (3, 0.05, "about 11 % instead of 5 %"),
        (4, 0.05, "about 13 % instead of 5 %"),
        (9, 0.05, "more than 13 % instead of 5 %"),
        (3, 0.025, "more than 2.5 %"),
        (2, 0.1, "more than 10 %"),
    ],
)
def test_tells_the_error_rate(looks: int, alpha: float, rate: str) -> None:
    note = looks_note(looks, alpha)
    assert note == f"Looked at {looks} times with differing numbers of runs; the error rate is {rate}."

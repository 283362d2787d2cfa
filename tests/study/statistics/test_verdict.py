import pytest

from holdfast.records.summary import Verdict
from holdfast.study.statistics.group import Scale
from holdfast.study.statistics.pair import compare_groups
from holdfast.study.statistics.verdict import decide

from .groups import group

SCALE = Scale(step=0.01, constant=50.0)
GOOD = [72.0, 72.4, 71.6, 72.2, 71.8]
BASE = [70.0, 70.4, 69.6, 70.2, 69.8]
CLOSE = [70.1, 70.3, 69.7, 70.2, 69.8]
WIDE = [70.0, 75.0, 65.0, 72.0, 68.0]


@pytest.mark.parametrize(
    ("a", "p_adjusted", "verdict"),
    [
        (GOOD, 0.001, "better"),
        ([2 * 70 - score for score in GOOD], 0.001, "worse"),
        (CLOSE, 0.9, "practically equal"),
        (WIDE, 0.9, "cannot be told apart"),
        (GOOD, 0.06, "cannot be told apart"),
        (GOOD[:2], None, "too few runs"),
    ],
    ids=["better", "worse", "equal", "undecided", "Holm", "two runs"],
)
def test_without_failures(a: list[float], p_adjusted: float | None, verdict: Verdict) -> None:
    assert decide(compare_groups(group(a), group(BASE), SCALE), p_adjusted, delta=1.0) == verdict


def _twenty(centre: float, failed: int) -> tuple[list[float], list[float]]:
    return [centre + 0.1 * (i % 5 - 2) for i in range(20 - failed)], [50.0] * failed


@pytest.mark.parametrize(
    ("centre", "failed", "verdict"),
    [
        (70.0, 12, "worse"),
        (72.0, 1, "better"),
        # Better when it trains, but the two failures cost more than that and are too few to tell.
        (71.0, 2, "cannot be told apart"),
        # Better when it trains, yet fails so often that the mean is lower beyond doubt.
        (71.0, 12, "worse"),
    ],
)
def test_with_failures(centre: float, failed: int, verdict: Verdict) -> None:
    pair = compare_groups(group(*_twenty(centre, failed)), group(*_twenty(70.0, 0)), SCALE)
    assert pair.p_value is not None
    assert pair.p_value <= 0.05
    assert decide(pair, pair.p_value, delta=1.0) == verdict

"""Whole sentences, since they are what people read; numbers in them come from the tests of the numbers."""

import pytest

from holdfast.study.statistics.group import Group, Scale
from holdfast.study.statistics.pair import compare_groups
from holdfast.study.statistics.sentences import PairwiseComparison, describe
from holdfast.study.statistics.verdict import decide

from .groups import group

A = [70, 71, 69, 72, 70]
B = [66, 70, 68, 67, 69]


def _say(
    a: Group,
    b: Group,
    delta: float = 1.0,
    p_adjusted: float | None = None,
    comparisons: int = 1,
    name_task: bool = False,
    alpha: float = 0.05,
) -> str:
    scale = Scale(step=0.1, constant=52.7)
    pair = compare_groups(a, b, scale, alpha)
    p_adjusted = pair.p_value if p_adjusted is None else p_adjusted
    verdict = decide(pair, p_adjusted, delta, alpha)
    comparison = PairwiseComparison("rte", "A", "B", scale, pair, p_adjusted, verdict, comparisons, delta, alpha)
    return describe(comparison, name_task)


def test_better() -> None:
    # The exact permutation p is .056: nothing but normal noise supports the claim.
    assert _say(group(A), group(B)) == (
        "A beats B by 2.4 points (95 % CI 0.4 to 4.4; 5 seeds each, none failed). "
        "In 90 % of run pairs A is ahead (at least 46 %). The interval rests on near-normal noise."
    )


def test_worse_names_the_winner_first() -> None:
    assert _say(group([score + 10 for score in B]), group([score + 20 for score in A]), name_task=True) == (
        "On rte, B beats A by 12.4 points (95 % CI 10.4 to 14.4; 5 seeds each, none failed). "
        "In 100 % of run pairs B is ahead (at least 57 %)."
    )


def test_practically_equal() -> None:
    assert _say(group([70, 70.2, 69.8, 70.1, 69.9]), group([70.1, 70.2, 69.8, 70.1, 69.9])) == (
        "A and B are practically equal: the difference is within ±1 point "
        "(95 % CI −0.3 to 0.2; 5 seeds each, none failed)."
    )


def test_undecided_says_how_many_seeds_would_settle_it() -> None:
    # s+ = 1.819 and delta = 2 need 27 seeds; the power of 80 % needs fewer.
    text = _say(group(A), group([score + 1.4 for score in B]), delta=2)
    assert text == (
        "A and B cannot be told apart with 5 seeds each (A − B = 1.0 points, 95 % CI −1.0 to 3.0). "
        "About 15 seeds each would show a gap of 2 points or more (80 % chance); about 27 would settle it either way."
    )


def _scaled(scores: list[int], spread: float) -> Group:
    """A or B around 70, scaled so that the two have this planning spread (1.819 as they are)."""
    centre = sum(scores) / len(scores)
    return group([70 + (score - centre) * spread / 1.819 for score in scores])


def test_more_than_fifty_seeds_are_not_asked_for() -> None:
    text = _say(_scaled(A, 1.5), _scaled(B, 1.5))
    assert text.endswith(
        "About 37 seeds each would show a gap of 1 point or more (80 % chance); "
        "settling it either way takes more than 50; choose a larger δ or pool over tasks."
    )
    text = _say(_scaled(A, 2), _scaled(B, 2))
    assert text.endswith("More than 50 seeds each would be needed; choose a larger δ or pool over tasks.")


def test_seeds_that_are_enough_to_show_a_gap_are_told_as_such() -> None:
    # Only Holm keeps this undecided: the plain interval excludes 0 already.
    text = _say(group(A), group(B), delta=4, p_adjusted=0.14, comparisons=5)
    assert "5 seeds each are enough to show a gap of 4 points or more (80 % chance); about" in text


def test_holm_disagrees() -> None:
    text = _say(group(A), group(B), p_adjusted=0.14, comparisons=5)
    assert text.startswith("A and B cannot be told apart with 5 seeds each (A − B = 2.4 points, 95 % CI 0.4 to 4.4).")
    assert "The 95 % interval excludes 0, but not after allowing for 5 comparisons." in text


@pytest.mark.parametrize("runs", [3, 4])
def test_three_or_four_seeds_rest_on_near_normal_noise(runs: int) -> None:
    assert _say(group(A[:runs]), group(B[:runs])).endswith("The interval rests on near-normal noise.")


def test_paired_seeds_are_called_so() -> None:
    a = [70 + 0.3 * (i % 4) for i in range(12)]
    b = [68 + 0.2 * (i % 3) for i in range(12)]
    assert "12 paired seeds, none failed" in _say(group(a), group(b))


def test_level_follows_alpha() -> None:
    assert "97.5 % CI" in _say(group(A), group(B), alpha=0.025)


def test_too_few_failures_to_compare() -> None:
    text = _say(group(A), group([70, 71, 69], failed=[52.7, 52.7]))
    assert text.startswith(
        "A and B cannot be told apart with 5 seeds each; B failed 2 of 5 runs, A 0 of 5: too few runs to compare "
        "failure rates. Among runs that trained, A − B = 0.4 (−1.6 to 2.4; 95 % CI); counting failures A − B = 7.3 ("
    )


def _twenty(centre: float, failed: int) -> Group:
    return group([centre + 0.1 * (i % 5 - 2) for i in range(20 - failed)], failed=[52.7] * failed)


def test_failures_decide() -> None:
    text = _say(_twenty(70, 12), _twenty(70, 0))
    assert text.startswith("B beats A because it fails less: A failed 12 of 20 runs, B 0 of 20. Among runs that")


def test_trained_runs_decide() -> None:
    text = _say(_twenty(72, 1), _twenty(70, 0))
    assert text.startswith(
        "A beats B because it scores higher when it trains: A failed 1 of 20 runs, B 0 of 20: failure rates that "
        "cannot be told apart. Among runs that trained, A − B = 2.0 ("
    )


def test_parts_that_disagree_are_both_named() -> None:
    assert _say(_twenty(71, 12), _twenty(70, 0)).startswith(
        "B beats A because it fails less, though A scores higher when it trains: A failed 12 of 20 runs, B 0 of 20."
    )
    assert _say(_twenty(71, 2), _twenty(70, 0)).startswith(
        "Neither A nor B is better overall: A scores higher when it trains, but counting failures it is not ahead; "
        "A failed 2 of 20 runs, B 0 of 20: failure rates that cannot be told apart."
    )


def test_a_group_that_never_trained() -> None:
    text = _say(group([], failed=[52.7] * 5), group(A))
    assert "A failed 5 of 5 runs, B 0 of 5" in text
    assert "Too few runs trained to compare those; counting failures A − B = −17.7, without an interval." in text


def test_nothing_trained() -> None:
    lost = group([], failed=[52.7] * 5)
    assert _say(lost, lost) == "All runs of A and B failed, so there is nothing to compare."


def test_too_few_runs() -> None:
    assert _say(group([70]), group([69.5])) == (
        "A and B cannot be judged on 1 seed each (A − B = 0.5 points): run at least 3, better 5 or more."
    )
    assert _say(group([70, 71]), group([69.5, 70, 71], failed=[52.7])) == (
        "A and B cannot be judged on 2 and 4 seeds (A − B = 4.7 points; B failed 1 of 4 runs, A 0 of 2): "
        "run at least 3, better 5 or more."
    )
    assert _say(group([]), group(B)) == "A and B cannot be compared: A has no finished run."


def test_a_limit_that_is_not_zero_is_not_shown_as_zero() -> None:
    pair_text = _say(group([score + 0.1 for score in A]), group([score + 0.46 for score in B]))
    assert "95 % CI −0.01 to" in pair_text

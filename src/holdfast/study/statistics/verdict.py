"""From a pair's numbers to one of the words of the summary."""

from dataclasses import dataclass
from typing import Literal

from holdfast.records.summary import Verdict
from holdfast.study.statistics.pair import MIN_RUNS, Pair


@dataclass(frozen=True)
class Part:
    """One of the two questions asked of a pair with failed runs."""

    name: Literal["failures", "trained"]
    sign: int
    """1 where the method is ahead of the baseline, -1 where it is behind."""


def differing_parts(pair: Pair, alpha: float) -> list[Part]:
    """The parts of a pair with failed runs that differ at alpha / 2, each on its own."""
    if pair.failures is None:
        return []
    parts = []
    if pair.failures.p_failed <= alpha / 2:
        fewer = pair.a.failures / len(pair.a) < pair.b.failures / len(pair.b)
        parts.append(Part("failures", 1 if fewer else -1))
    trained = pair.failures.trained
    if trained and trained.p_value <= alpha / 2:
        parts.append(Part("trained", _sign(trained.estimate)))
    return parts


def direction(pair: Pair, alpha: float) -> int:
    """1 where the method is ahead, -1 where it is behind, 0 where what differs does not say which.

    With failed runs that is the sign of the difference counting failures, if a part that differs agrees with
    it; where the other part differs the other way, its interval must exclude 0 too. A method that is better
    when it trains, but fails too often for it to pay, is neither better nor worse.
    """
    sign = _sign(pair.estimate or 0.0)
    if pair.failures is None:
        return sign
    signs = {part.sign for part in differing_parts(pair, alpha)}
    if sign not in signs:
        return 0
    clear = len(signs) == 1 or (pair.interval is not None and pair.interval.excludes_zero())
    return sign if clear else 0


def decide(pair: Pair, p_adjusted: float | None, delta: float, alpha: float = 0.05) -> Verdict:
    """The verdict on a method against the baseline; ``p_adjusted`` is the pair's p after Holm.

    ``delta`` is the smallest difference that matters, in points.
    """
    if pair.fewest < MIN_RUNS or pair.estimate is None or p_adjusted is None:
        return "too few runs"
    if p_adjusted <= alpha:
        verdicts: dict[int, Verdict] = {1: "better", -1: "worse", 0: "cannot be told apart"}
        return verdicts[direction(pair, alpha)]
    if pair.interval and pair.interval.inside(delta):
        return "practically equal"
    return "cannot be told apart"


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)

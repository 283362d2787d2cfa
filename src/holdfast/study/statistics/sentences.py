"""The verdict on one comparison, in words."""

from dataclasses import dataclass

from holdfast.records.summary import Verdict
from holdfast.study.statistics.group import Group, Scale
from holdfast.study.statistics.pair import Pair, plan_seeds
from holdfast.study.statistics.verdict import Part, differing_parts, direction
from holdfast.wording import count, in_points, level, number, percent

MOST_SEEDS = 50
"""Above this nobody runs the seeds asked for; the advice changes."""
ENOUGH_FOR_RATES = 20
"""Runs a group from which failure rates of 0 and 30 % are told apart in most studies."""


@dataclass(frozen=True)
class PairwiseComparison:
    """A pair with its verdict and all that the words need."""

    task: str
    method: str
    baseline: str
    scale: Scale
    pair: Pair
    p_adjusted: float | None
    verdict: Verdict
    family: int
    """How many comparisons Holm was applied to."""
    delta: float
    alpha: float

    @property
    def both(self) -> str:
        """Both names as they stand in a sentence."""
        return f"{self.method} and {self.baseline}"

    @property
    def order(self) -> tuple[str, str]:
        """Who is ahead, who is behind."""
        return (self.method, self.baseline) if self.verdict == "better" else (self.baseline, self.method)

    @property
    def parts_conflict(self) -> bool:
        """True when something differs after Holm, yet neither method is ahead."""
        significant = self.p_adjusted is not None and self.p_adjusted <= self.alpha
        return significant and self.verdict == "cannot be told apart"


def describe(comparison: PairwiseComparison, name_task: bool) -> str:
    """The verdict in one to five sentences; ``name_task`` when the study has several tasks."""
    pair = comparison.pair
    if pair.fewest == 0:
        text = [_nothing(comparison)]
    elif comparison.verdict == "too few runs":
        text = [_too_few(comparison)]
    elif pair.form == "failures":
        text = _with_failures(comparison)
    else:
        text = _without_failures(comparison)
    if comparison.verdict in ("better", "worse") and pair.form != "failures":
        text.append(_win(comparison))
    if comparison.verdict == "cannot be told apart" and not _never_trained(pair):
        text += _holm(comparison) + _advice(comparison)
    if _near_normal(comparison):
        text.append("The interval rests on near-normal noise.")
    sentence = " ".join(text)
    if not name_task:
        return sentence
    if sentence.startswith(("All ", "Neither ")):  # not the name of a method
        sentence = sentence[0].lower() + sentence[1:]
    return f"On {comparison.task}, {sentence}"


def _nothing(comparison: PairwiseComparison) -> str:
    groups = ((comparison.method, comparison.pair.a), (comparison.baseline, comparison.pair.b))
    empty = [name for name, group in groups if not len(group)]
    verb = "has" if len(empty) == 1 else "have"
    return f"{comparison.both} cannot be compared: {' and '.join(empty)} {verb} no finished run."


def _too_few(comparison: PairwiseComparison) -> str:
    pair = comparison.pair
    failed = f"; {_failed(comparison)}" if pair.a.failures or pair.b.failures else ""
    return (
        f"{comparison.both} cannot be judged on {_seeds(pair.a, pair.b)} "
        f"({_gap(comparison, pair.estimate)} points{failed}): run at least 3, better 5 or more."
    )


def _without_failures(comparison: PairwiseComparison) -> list[str]:
    pair, (ahead, behind) = comparison.pair, comparison.order
    runs = f"{len(pair.a)} paired seeds" if pair.form == "paired" else _seeds(pair.a, pair.b)
    if pair.interval is None or pair.estimate is None:
        return []
    if comparison.verdict in ("better", "worse"):
        interval = pair.interval if comparison.verdict == "better" else -pair.interval
        return [
            f"{ahead} beats {behind} by {number(abs(pair.estimate))} points "
            f"({level(comparison.alpha)} CI {interval}; {runs}, none failed)."
        ]
    interval_text = f"{level(comparison.alpha)} CI {pair.interval}"
    if comparison.verdict == "practically equal":
        return [
            f"{comparison.both} are practically equal: the difference is within "
            f"±{in_points(comparison.delta)} ({interval_text}; {runs}, none failed)."
        ]
    return [
        f"{comparison.both} cannot be told apart with {runs} "
        f"({_gap(comparison, pair.estimate)} points, {interval_text})."
    ]


def _with_failures(comparison: PairwiseComparison) -> list[str]:
    pair, (ahead, behind) = comparison.pair, comparison.order
    if _never_trained(pair):
        return [f"All runs of {comparison.both} failed, so there is nothing to compare."]
    parts = differing_parts(pair, comparison.alpha)
    failed = _failed(comparison)
    if comparison.verdict in ("better", "worse"):
        sign = direction(pair, comparison.alpha)
        reasons = " and ".join(_part_words(part, "it") for part in parts if part.sign == sign)
        against = "".join(f", though {_part_words(part, behind)}" for part in parts if part.sign != sign)
        opening = f"{ahead} beats {behind} because {reasons}{against}: {failed}"
    elif comparison.verdict == "practically equal":
        opening = (
            f"{comparison.both} are practically equal: counting failures, the difference is "
            f"within ±{in_points(comparison.delta)}; {failed}"
        )
    elif comparison.parts_conflict:
        neither = f"Neither {comparison.method} nor {comparison.baseline}"
        opening = f"{neither} is better overall: {_conflict(comparison)}; {failed}"
    else:
        opening = f"{comparison.both} cannot be told apart with {_seeds(pair.a, pair.b)}; {failed}"
    unequal = pair.a.failures / len(pair.a) != pair.b.failures / len(pair.b)
    if unequal and all(part.name != "failures" for part in parts):
        few = pair.fewest < ENOUGH_FOR_RATES
        opening += ": too few runs to compare failure rates" if few else ": failure rates that cannot be told apart"
    return [f"{opening}.", _both_differences(comparison)]


def _both_differences(comparison: PairwiseComparison) -> str:
    pair = comparison.pair
    trained = pair.failures.trained if pair.failures else None
    interval = f" ({pair.interval})" if pair.interval else ", without an interval"
    counting = f"counting failures {_gap(comparison, pair.estimate)}{interval}."
    if trained is None:
        return f"Too few runs trained to compare those; {counting}"
    gap = f"{_gap(comparison, trained.estimate)} ({trained.interval}; {level(comparison.alpha)} CI)"
    return f"Among runs that trained, {gap}; {counting}"


def _conflict(comparison: PairwiseComparison) -> str:
    parts = differing_parts(comparison.pair, comparison.alpha)
    words = [_part_words(part, comparison.method if part.sign > 0 else comparison.baseline) for part in parts]
    if len({part.sign for part in parts}) == 2:
        return ", but ".join(words)
    return f"{' and '.join(words)}, but counting failures it is not ahead"


def _part_words(part: Part, who: str) -> str:
    return f"{who} fails less" if part.name == "failures" else f"{who} scores higher when it trains"


def _failed(comparison: PairwiseComparison) -> str:
    """ "B failed 2 of 5 runs, A 0 of 5", the one that failed more often first."""
    counts = [(comparison.method, comparison.pair.a), (comparison.baseline, comparison.pair.b)]
    counts.sort(key=lambda item: -item[1].failures / len(item[1]))
    (first, one), (second, two) = counts
    return f"{first} failed {one.failures} of {len(one)} runs, {second} {two.failures} of {len(two)}"


def _win(comparison: PairwiseComparison) -> str:
    pair = comparison.pair
    if pair.win is None or pair.win_interval is None:
        return ""
    won, least = pair.win, pair.win_interval.low
    if comparison.verdict == "worse":
        won, least = 1 - won, 1 - pair.win_interval.high
    return f"In {percent(won)} of run pairs {comparison.order[0]} is ahead (at least {percent(least)})."


def _holm(comparison: PairwiseComparison) -> list[str]:
    pair = comparison.pair
    plain, adjusted, alpha = pair.p_value, comparison.p_adjusted, comparison.alpha
    if plain is None or adjusted is None or not plain <= alpha < adjusted:
        return []
    what = "One of the two parts differs" if pair.form == "failures" else f"The {level(alpha)} interval excludes 0"
    return [f"{what}, but not after allowing for {comparison.family} comparisons."]


def _advice(comparison: PairwiseComparison) -> list[str]:
    """How many seeds would settle it, from the smallest difference that matters."""
    if comparison.parts_conflict:
        return []
    a, b = comparison.pair.a, comparison.pair.b
    plan = plan_seeds(a, b, comparison.scale, comparison.delta, comparison.alpha)
    now = max(len(a), len(b))
    if plan is None or plan.settle <= now:
        return []
    if plan.detect > MOST_SEEDS:
        return ["More than 50 seeds each would be needed; choose a larger δ or pool over tasks."]
    gap = f"a gap of {in_points(comparison.delta)} or more (80 % chance)"
    if plan.detect <= now:
        shows = f"{_seeds(a, b)} are enough to show {gap}"
    else:
        shows = f"About {plan.detect} seeds each would show {gap}"
    if plan.settle > MOST_SEEDS:
        settles = "settling it either way takes more than 50; choose a larger δ or pool over tasks"
    else:
        settles = f"about {plan.settle} would settle it either way"
    aside = " This counts on runs that train." if comparison.pair.form == "failures" else ""
    return [f"{shows}; {settles}.{aside}"]


def _near_normal(comparison: PairwiseComparison) -> bool:
    """True when nothing but the assumption of normal noise supports the t test."""
    pair = comparison.pair
    test = pair.failures.trained if pair.failures else pair.test
    if test is None or comparison.verdict == "too few runs":
        return False
    if pair.fewest <= 4:
        return True
    threshold = comparison.alpha / 2 if pair.failures else comparison.alpha
    second = pair.permutation_p
    return second is not None and (test.p_value <= threshold) != (second <= threshold)


def _never_trained(pair: Pair) -> bool:
    return not pair.a.trained_scores and not pair.b.trained_scores


def _gap(comparison: PairwiseComparison, difference: float | None) -> str:
    return f"{comparison.method} − {comparison.baseline} = {number(difference or 0.0)}"


def _seeds(a: Group, b: Group) -> str:
    """How many runs the groups have: "5 seeds each", "5 and 4 seeds"."""
    return f"{count(len(a), 'seed')} each" if len(a) == len(b) else f"{len(a)} and {len(b)} seeds"

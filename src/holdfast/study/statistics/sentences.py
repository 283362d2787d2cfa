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
class Judged:
    """A pair with its verdict and all that the words need."""

    task: str
    method: str
    baseline: str
    scale: Scale
    pair: Pair
    p_adjusted: float | None
    verdict: Verdict
    comparisons: int
    """Size of the family that Holm was applied to."""
    delta: float
    alpha: float


def describe(judged: Judged, name_task: bool) -> str:
    """The verdict in one to five sentences; ``name_task`` when the study has several tasks."""
    pair = judged.pair
    if pair.fewest == 0:
        text = [_nothing(judged)]
    elif judged.verdict == "too few runs":
        text = [_too_few(judged)]
    elif pair.form == "failures":
        text = _with_failures(judged)
    else:
        text = _without_failures(judged)
    if judged.verdict in ("better", "worse") and pair.form != "failures":
        text.append(_win(judged))
    if judged.verdict == "cannot be told apart" and not _never_trained(pair):
        text += _holm(judged) + _advice(judged)
    if _near_normal(judged):
        text.append("The interval rests on near-normal noise.")
    sentence = " ".join(text)
    if not name_task:
        return sentence
    if sentence.startswith(("All ", "Neither ")):  # not the name of a method
        sentence = sentence[0].lower() + sentence[1:]
    return f"On {judged.task}, {sentence}"


def _nothing(judged: Judged) -> str:
    groups = ((judged.method, judged.pair.a), (judged.baseline, judged.pair.b))
    empty = [name for name, group in groups if not len(group)]
    verb = "has" if len(empty) == 1 else "have"
    return f"{judged.method} and {judged.baseline} cannot be compared: {' and '.join(empty)} {verb} no finished run."


def _too_few(judged: Judged) -> str:
    pair = judged.pair
    failed = f"; {_failed(judged)}" if pair.a.failures or pair.b.failures else ""
    return (
        f"{judged.method} and {judged.baseline} cannot be judged on {_seeds(pair.a, pair.b)} "
        f"({_gap(judged, pair.estimate)} points{failed}): run at least 3, better 5 or more."
    )


def _without_failures(judged: Judged) -> list[str]:
    pair, (ahead, behind) = judged.pair, _order(judged)
    runs = f"{len(pair.a)} paired seeds" if pair.form == "paired" else _seeds(pair.a, pair.b)
    if pair.interval is None or pair.estimate is None:
        return []
    if judged.verdict in ("better", "worse"):
        interval = pair.interval if judged.verdict == "better" else -pair.interval
        return [
            f"{ahead} beats {behind} by {number(abs(pair.estimate))} points "
            f"({level(judged.alpha)} CI {interval}; {runs}, none failed)."
        ]
    interval_text = f"{level(judged.alpha)} CI {pair.interval}"
    if judged.verdict == "practically equal":
        return [
            f"{judged.method} and {judged.baseline} are practically equal: the difference is within "
            f"±{in_points(judged.delta)} ({interval_text}; {runs}, none failed)."
        ]
    return [
        f"{judged.method} and {judged.baseline} cannot be told apart with {runs} "
        f"({_gap(judged, pair.estimate)} points, {interval_text})."
    ]


def _with_failures(judged: Judged) -> list[str]:
    pair, (ahead, behind) = judged.pair, _order(judged)
    if _never_trained(pair):
        return [f"All runs of {judged.method} and {judged.baseline} failed, so there is nothing to compare."]
    parts = differing_parts(pair, judged.alpha)
    failed = _failed(judged)
    if judged.verdict in ("better", "worse"):
        sign = direction(pair, judged.alpha)
        reasons = " and ".join(_part_words(part, "it") for part in parts if part.sign == sign)
        against = "".join(f", though {_part_words(part, behind)}" for part in parts if part.sign != sign)
        opening = f"{ahead} beats {behind} because {reasons}{against}: {failed}"
    elif judged.verdict == "practically equal":
        opening = (
            f"{judged.method} and {judged.baseline} are practically equal: counting failures, the difference is "
            f"within ±{in_points(judged.delta)}; {failed}"
        )
    elif _parts_conflict(judged):
        opening = f"Neither {judged.method} nor {judged.baseline} is better overall: {_conflict(judged)}; {failed}"
    else:
        opening = f"{judged.method} and {judged.baseline} cannot be told apart with {_seeds(pair.a, pair.b)}; {failed}"
    unequal = pair.a.failures / len(pair.a) != pair.b.failures / len(pair.b)
    if unequal and all(part.name != "failures" for part in parts):
        few = pair.fewest < ENOUGH_FOR_RATES
        opening += ": too few runs to compare failure rates" if few else ": failure rates that cannot be told apart"
    return [f"{opening}.", _both_differences(judged)]


def _both_differences(judged: Judged) -> str:
    pair = judged.pair
    trained = pair.failures.trained if pair.failures else None
    interval = f" ({pair.interval})" if pair.interval else ", without an interval"
    counting = f"counting failures {_gap(judged, pair.estimate)}{interval}."
    if trained is None:
        return f"Too few runs trained to compare those; {counting}"
    gap = f"{_gap(judged, trained.estimate)} ({trained.interval}; {level(judged.alpha)} CI)"
    return f"Among runs that trained, {gap}; {counting}"


def _parts_conflict(judged: Judged) -> bool:
    """True when something differs after Holm, yet neither method is ahead."""
    significant = judged.p_adjusted is not None and judged.p_adjusted <= judged.alpha
    return significant and judged.verdict == "cannot be told apart"


def _conflict(judged: Judged) -> str:
    parts = differing_parts(judged.pair, judged.alpha)
    words = [_part_words(part, judged.method if part.sign > 0 else judged.baseline) for part in parts]
    if len({part.sign for part in parts}) == 2:
        return ", but ".join(words)
    return f"{' and '.join(words)}, but counting failures it is not ahead"


def _part_words(part: Part, who: str) -> str:
    return f"{who} fails less" if part.name == "failures" else f"{who} scores higher when it trains"


def _failed(judged: Judged) -> str:
    """ "B failed 2 of 5 runs, A 0 of 5", the one that failed more often first."""
    counts = [(judged.method, judged.pair.a), (judged.baseline, judged.pair.b)]
    counts.sort(key=lambda item: -item[1].failures / len(item[1]))
    (first, one), (second, two) = counts
    return f"{first} failed {one.failures} of {len(one)} runs, {second} {two.failures} of {len(two)}"


def _win(judged: Judged) -> str:
    pair = judged.pair
    if pair.win is None or pair.win_interval is None:
        return ""
    won, least = pair.win, pair.win_interval.low
    if judged.verdict == "worse":
        won, least = 1 - won, 1 - pair.win_interval.high
    return f"In {percent(won)} of run pairs {_order(judged)[0]} is ahead (at least {percent(least)})."


def _holm(judged: Judged) -> list[str]:
    pair = judged.pair
    if pair.p_value is None or judged.p_adjusted is None or not pair.p_value <= judged.alpha < judged.p_adjusted:
        return []
    what = (
        "One of the two parts differs" if pair.form == "failures" else f"The {level(judged.alpha)} interval excludes 0"
    )
    return [f"{what}, but not after allowing for {judged.comparisons} comparisons."]


def _advice(judged: Judged) -> list[str]:
    """How many seeds would settle it, from the smallest difference that matters."""
    if _parts_conflict(judged):
        return []
    plan = plan_seeds(judged.pair.a, judged.pair.b, judged.scale, judged.delta, judged.alpha)
    now = max(len(judged.pair.a), len(judged.pair.b))
    if plan is None or plan.settle <= now:
        return []
    if plan.detect > MOST_SEEDS:
        return ["More than 50 seeds each would be needed; choose a larger δ or pool over tasks."]
    gap = f"a gap of {in_points(judged.delta)} or more (80 % chance)"
    if plan.detect <= now:
        shows = f"{_seeds(judged.pair.a, judged.pair.b)} are enough to show {gap}"
    else:
        shows = f"About {plan.detect} seeds each would show {gap}"
    if plan.settle > MOST_SEEDS:
        settles = "settling it either way takes more than 50; choose a larger δ or pool over tasks"
    else:
        settles = f"about {plan.settle} would settle it either way"
    aside = " This counts on runs that train." if judged.pair.form == "failures" else ""
    return [f"{shows}; {settles}.{aside}"]


def _near_normal(judged: Judged) -> bool:
    """True when nothing but the assumption of normal noise supports the t test."""
    pair = judged.pair
    test = pair.failures.trained if pair.failures else pair.test
    if test is None or judged.verdict == "too few runs":
        return False
    if pair.fewest <= 4:
        return True
    threshold = judged.alpha / 2 if pair.failures else judged.alpha
    second = pair.permutation_p
    return second is not None and (test.p_value <= threshold) != (second <= threshold)


def _never_trained(pair: Pair) -> bool:
    return not pair.a.trained_scores and not pair.b.trained_scores


def _gap(judged: Judged, difference: float | None) -> str:
    return f"{judged.method} − {judged.baseline} = {number(difference or 0.0)}"


def _order(judged: Judged) -> tuple[str, str]:
    """Ahead, behind."""
    return (judged.method, judged.baseline) if judged.verdict == "better" else (judged.baseline, judged.method)


def _seeds(a: Group, b: Group) -> str:
    """How many runs the groups have: "5 seeds each", "5 and 4 seeds"."""
    return f"{count(len(a), 'seed')} each" if len(a) == len(b) else f"{len(a)} and {len(b)} seeds"

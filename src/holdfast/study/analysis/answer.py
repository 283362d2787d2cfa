"""The answer of a study, before any evidence: what to use, what to expect of it on new data, what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.summary import Row, SequenceSummary, Summary, TaskInfo
from holdfast.study.analysis.choice import CHEAPER, Choice, Reason, choose, idle
from holdfast.study.analysis.undecided import advice
from holdfast.study.statistics.intervals import Interval, wilson
from holdfast.study.statistics.pair import MIN_RUNS
from holdfast.study.statistics.wording import level, listed, number, span

_STEPS = 3


@dataclass(frozen=True)
class Answer:
    """Three to five lines."""

    use: str
    expect: str
    """Empty where nothing can be expected."""
    next_steps: tuple[str, ...]
    """Three at most, the most urgent first."""


def answer(summary: Summary) -> Answer:
    """Return the answer to which method to use, from what ``summary`` knows."""
    choices = [choose(summary, info) for info in summary.tasks]
    return Answer(_use(choices, summary), _expect(choices, summary), tuple(_next(choices, summary)[:_STEPS]))


def _use(choices: Sequence[Choice], summary: Summary) -> str:
    """One sentence for the tasks that share a choice; what did not learn first."""
    if len(choices) == 1:
        return _why(choices[0], summary)
    groups: dict[tuple[Reason, str], list[Choice]] = {}
    for choice in sorted(choices, key=lambda choice: choice.row is not None):
        groups.setdefault((choice.reason, choice.row.method if choice.row else ""), []).append(choice)
    if len(groups) == 1 and choices[0].row is not None:
        return _together(choices, summary, f"on all {len(choices)} tasks")
    return " ".join(
        _together(group, summary, f"on {listed([c.info.task for c in group])}") for group in groups.values()
    )


def _why(choice: Choice, summary: Summary) -> str:
    """The choice on the only task of a study."""
    baseline, settings = summary.settings.baseline, summary.settings
    row, info = choice.row, choice.info
    others = [other for other in choice.rows if other is not row]
    if row is None:
        if choice.reason == "learned nothing":
            return (
                f"Use none of these models yet: {idle(choice.rows, info, summary)} of "
                f"{sum(other.n for other in choice.rows)} runs did no better than always giving the same answer, which "
                f"scores {number(info.constant_score)}."
            )
        return _nothing(choice, baseline)
    if choice.reason == "better" and row.difference is not None:
        between = ""
        if row.ci_low is not None and row.ci_high is not None:
            between = f" ({level(settings.alpha)} CI {span(Interval(row.ci_low, row.ci_high))})"
        also = [other.method for other in others if other.verdict == "better"]
        more = f"; {listed(also)} {'is' if len(also) == 1 else 'are'} better than it too" if also else ""
        return f"Use {row.method}: it beats {baseline} by {number(row.difference)} points{between}{_cost(row)}{more}."
    if choice.reason == "cheaper":
        return f"Use {row.method}: it is practically equal to {baseline}{_cost(row)}."
    if choice.reason == "instead":
        return f"Use {row.method} for now: {_half(choice, baseline, summary)}."
    if choice.reason == "few":
        return f"Use {row.method}, the baseline, for now: with so few runs no method can be judged."
    if choice.reason == "alone":
        return f"Use {row.method}: the study has no other method to compare it with."
    return f"Use {row.method}, the baseline: {_not_better(others)}{_cheapest(others)}."


def _together(choices: Sequence[Choice], summary: Summary, where: str) -> str:
    """One choice on several tasks, or on one of several, in short."""
    first, baseline = choices[0], summary.settings.baseline
    row = first.row
    if row is None:
        if first.reason == "learned nothing":
            return f"Use none of these models yet {where}: most runs did no better than always giving the same answer."
        return f"{_nothing(first, baseline)[:-1]} ({where})."
    if first.reason == "better":
        gaps = [number(choice.row.difference) for choice in choices if choice.row and choice.row.difference is not None]
        return f"Use {row.method} {where}: it beats {baseline} by {listed(gaps)} points."
    if first.reason == "cheaper":
        return f"Use {row.method} {where}: it is practically equal to {baseline} and trains in less time."
    if first.reason == "instead":
        return f"Use {row.method} {where} for now: {baseline} mostly did no better than always giving the same answer."
    if first.reason == "few":
        return f"Use {row.method}, the baseline, {where} for now: with so few runs no method can be judged."
    if first.reason == "alone":
        return f"Use {row.method} {where}: the study has no other method to compare it with."
    others = [other for choice in choices for other in choice.rows if other is not choice.row]
    return f"Use {row.method}, the baseline, {where}: {_not_better(others)}{_cheapest(others)}."


def _nothing(choice: Choice, baseline: str) -> str:
    if choice.reason == "no run":
        return "There is nothing to use yet: no run has a result."
    return f"Nothing can be recommended yet: the baseline, {baseline}, has no result."


def _half(choice: Choice, baseline: str, summary: Summary) -> str:
    row = next(row for row in choice.rows if row.verdict == "baseline")
    return (
        f"{idle([row], choice.info, summary)} of {row.n} runs of {baseline} did no better than always giving the same "
        "answer"
    )


def _not_better(others: Sequence[Row]) -> str:
    verdicts = {other.verdict for other in others} - {"too few runs"}
    if verdicts == {"worse"}:
        return "every other method is worse"
    if verdicts == {"practically equal"}:
        return "the others are practically equal to it"
    if verdicts == {"cannot be told apart"}:
        return "no other method can be told apart from it"
    return "no other method has been shown to be better"


def _cheapest(others: Sequence[Row]) -> str:
    """That nothing costs less, where that speaks for the baseline and is known of every other method."""
    cheap = any(other.cost_ratio is None or other.cost_ratio < 1.0 for other in others)
    return "" if cheap or {other.verdict for other in others} == {"worse"} else ", and none trains in less time"


def _cost(row: Row) -> str:
    if row.cost_ratio is None or CHEAPER < row.cost_ratio < 1.1:
        return ""
    return f", at {row.cost_ratio:.1f} times its training time"


def _expect(choices: Sequence[Choice], summary: Summary) -> str:
    found = [(choice.info, choice.row) for choice in choices if choice.row is not None]
    if len(choices) == 1 and found:
        return _score(*found[0], summary)
    told = [
        f"{info.task} {number(row.mean)}" + (f" ± {number(row.std)}" if row.std is not None else "")
        for info, row in found
        if row.mean is not None
    ]
    if told:
        spread = "mean ± standard deviation over seeds" if "±" in "".join(told) else "one run each"
        return f"Expect, on new rows like the scored ones, in points ({spread}): {', '.join(told)}."
    constants = {number(choice.info.constant_score) for choice in choices if choice.reason == "learned nothing"}
    if len(choices) == 1 and constants:
        return f"Expect no more on new data than the {constants.pop()} points of the best constant prediction."
    return ""


def _score(info: TaskInfo, row: Row, summary: Summary) -> str:
    """What a run of a method scores, by how much seeds and scored rows may move that."""
    mean = row.mean or 0.0
    runs = f"{row.n} seed{'' if row.n == 1 else 's'}"
    if row.std is None or row.worst is None:
        spread = ", from a single run: how far seeds lie apart is not known"
    else:
        spread = f", ± {number(row.std)} from seed to seed; the worst of {runs} scored {number(row.worst)}"
    failed = f", {row.failed} of {row.n} failed to train" if row.failed else ""
    rows = ""
    # Of words in a sentence, and of metrics that are no share of rows, this interval would not hold.
    if info.metric == "accuracy" and info.kind in ("classification", "choice") and 0 <= mean <= 100:
        between = wilson(mean / 100, info.scored_rows, summary.settings.alpha)
        ends = Interval(100 * between.low, 100 * between.high)
        rows = f"; other rows may give {span(ends)}, as only {info.scored_rows} were scored"
    elsewhere = [
        one for one in summary.transfer if (one.task, one.method, one.verdict) == (info.task, row.method, "worse")
    ]
    lost = f" On {listed([one.target for one in elsewhere])} it is worse than the baseline." if elsewhere else ""
    return (
        f"Expect {number(mean)} points of {info.metric} on new data like the scored rows{spread}{failed}{rows}. "
        f"The best constant prediction scores {number(info.constant_score)}.{lost}"
    )


def _next(choices: Sequence[Choice], summary: Summary) -> list[str]:
    """What to do, the most urgent first."""
    steps = (_train_better(choices, summary), missing_runs(summary), _more_seeds(choices, summary))
    return [step for step in (*steps, _kept(choices, summary)) if step]


def _train_better(choices: Sequence[Choice], summary: Summary) -> str:
    idle = [choice for choice in choices if choice.reason in ("learned nothing", "instead")]
    if not idle:
        return ""
    given = summary.settings.training
    # Steps take the place of epochs where they are given.
    length = "epochs" if given.get("max_steps") is None else "max_steps"
    rate, longer = (
        f"--{key.replace('_', '-')}" + (f", now {given[key]:g}" if given.get(key) is not None else "")
        for key in ("learning_rate", length)
    )
    rows = ", ".join(dict.fromkeys(str(choice.info.train_rows) for choice in idle))
    return (
        f"Train at a higher rate ({rate}), longer ({longer}) or on more rows (now {rows}), and check the labels; until "
        "then the comparison says little about the methods."
    )


def missing_runs(summary: Summary | SequenceSummary) -> str:
    """Return what to do about the runs without a result; empty where there are none."""
    if not summary.errors:
        return ""
    runs = f"{len(summary.errors)} run{' has' if len(summary.errors) == 1 else 's have'}"
    return f"{runs} no result: the same command does what is missing, with --retry-failed also what stopped."


def _more_seeds(choices: Sequence[Choice], summary: Summary) -> str:
    rows = [row for choice in choices if choice.reason in ("few", "baseline", "cheaper") for row in choice.rows]
    if any(row.verdict == "too few runs" for row in rows):
        if len(summary.settings.seeds) >= MIN_RUNS:
            return ""
        return "Run at least 3 seeds, better 5 or more (--seeds 5): with fewer nothing can be told apart."
    return advice(summary, [row for row in rows if row.verdict == "cannot be told apart"])


def _kept(choices: Sequence[Choice], summary: Summary) -> str:
    usable = {choice.info.task for choice in choices if choice.row is not None}
    kept = [best for best in summary.best if best.task in usable]
    if not kept:
        return ""
    if len(choices) > 1:
        flattered = "; their own scores are optimistic, the means are not" if any(b.optimistic for b in kept) else ""
        return f"To use a model at once, take the task's in best/{flattered}."
    best = kept[0]
    flattered = "; its own score is optimistic, as the scored rows chose it" if best.optimistic else ""
    return f"To use a model at once, take {best.path}/: {best.method}, seed {best.seed}{flattered}."

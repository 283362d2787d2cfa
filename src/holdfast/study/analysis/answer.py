"""The answer of a study, before any evidence: what to use, what to expect of it on new data, what to do next."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.summary import Row, SequenceSummary, Summary, TaskInfo
from holdfast.study.analysis.beaten import beaten_references
from holdfast.study.analysis.choice import CHEAPER, Choice, Reason, choose, idle
from holdfast.study.analysis.undecided import advice
from holdfast.study.statistics.intervals import Interval, wilson
from holdfast.study.statistics.pair import MIN_RUNS
from holdfast.wording import count, level, listed, number

_STEPS = 3
_IDLE = "did no better than always giving the same answer"

TOO_FEW_SEEDS = "Run at least 3 seeds, better 5 or more (--seeds 5): with fewer nothing can be told apart."


@dataclass(frozen=True)
class Answer:
    """Three to six lines."""

    use: str
    expect: str
    """Empty where nothing can be expected."""
    next_steps: tuple[str, ...]
    """Three at most, the most urgent first."""
    references: str = ""
    """Whether tuning beats what takes seconds; empty where that is not known."""


def answer(summary: Summary) -> Answer:
    """Return the answer to which method to use, from what ``summary`` knows."""
    choices = [choose(summary, info) for info in summary.tasks]
    steps = tuple(_next(choices, summary)[:_STEPS])
    return Answer(_use(choices, summary), _expect(choices, summary), steps, beaten_references(summary))


def _use(choices: Sequence[Choice], summary: Summary) -> str:
    """One sentence for the tasks that share a choice; what did not learn first."""
    groups: dict[tuple[Reason, str], list[Choice]] = {}
    for choice in sorted(choices, key=lambda choice: choice.row is not None):
        groups.setdefault((choice.reason, choice.row.method if choice.row else ""), []).append(choice)
    if len(choices) == 1:
        return _recommendation(choices, summary, "")
    if len(groups) == 1 and choices[0].row is not None:
        return _recommendation(choices, summary, f"on all {len(choices)} tasks")
    return " ".join(
        _recommendation(group, summary, f"on {listed([choice.info.task for choice in group])}")
        for group in groups.values()
    )


def _recommendation(choices: Sequence[Choice], summary: Summary, where: str) -> str:
    """What to use on the tasks of ``choices``, which share it, and why; ``where`` is empty for a study's only task."""
    row, reason = choices[0].row, choices[0].reason
    if row is None and reason != "learned nothing":
        nothing = (
            "There is nothing to use yet: no run has a result"
            if reason == "no run"
            else f"Nothing can be recommended yet: the baseline, {summary.settings.baseline}, has no result"
        )
        return f"{nothing} ({where})." if where else f"{nothing}."
    what = "none of these models yet" if row is None else row.method
    place = " ".join(part for part in (where, "for now" if reason in ("instead", "few") else "") if part)
    if reason in ("few", "baseline"):
        what += ", the baseline," if place else ", the baseline"
    return f"Use {f'{what} {place}'.strip()}: {_why(choices, summary, detailed=not where)}."


def _why(choices: Sequence[Choice], summary: Summary, *, detailed: bool) -> str:
    """The reason that tasks share; ``detailed`` for a single one, with all that its numbers say."""
    choice, baseline = choices[0], summary.settings.baseline
    row, others = choice.row, [other for one in choices for other in one.rows if other is not one.row]
    if row is None:
        constant = f", which scores {number(choice.info.constant_score)}" if detailed else ""
        return f"{_idle_share(choice.rows, choice, summary) if detailed else 'most runs'} {_IDLE}{constant}"
    if choice.reason == "better":
        gaps = [number(one.row.difference) for one in choices if one.row and one.row.difference is not None]
        numbers = f"{_interval(row, summary)}{_cost(row)}{_also_better(others)}" if detailed else ""
        return f"it beats {baseline} by {listed(gaps)} points{numbers}"
    if choice.reason == "cheaper":
        return f"it is practically equal to {baseline}{_cost(row) if detailed else ' and trains in less time'}"
    if choice.reason == "instead":
        own = [other for other in choice.rows if other.verdict == "baseline"]
        who = f"{_idle_share(own, choice, summary)} of {baseline}" if detailed else f"{baseline} mostly"
        return f"{who} {_IDLE}"
    if choice.reason == "few":
        return "with so few runs no method can be judged"
    if choice.reason == "alone":
        return "the study has no other method to compare it with"
    return f"{_not_better(others)}{_cheapest(others)}"


def _idle_share(rows: Sequence[Row], choice: Choice, summary: Summary) -> str:
    return f"{idle(rows, choice.info, summary)} of {sum(row.n for row in rows)} runs"


def _interval(row: Row, summary: Summary) -> str:
    if row.ci_low is None or row.ci_high is None:
        return ""
    return f" ({level(summary.settings.alpha)} CI {Interval(row.ci_low, row.ci_high)})"


def _also_better(others: Sequence[Row]) -> str:
    also = [other.method for other in others if other.verdict == "better"]
    return f"; {listed(also)} {'is' if len(also) == 1 else 'are'} better than it too" if also else ""


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
    chosen = [(choice.info, choice.row) for choice in choices if choice.row is not None]
    if len(choices) == 1 and chosen:
        return _score(*chosen[0], summary)
    scores = [
        f"{info.task} {number(row.mean)}" + (f" ± {number(row.std)}" if row.std is not None else "")
        for info, row in chosen
        if row.mean is not None
    ]
    if scores:
        spread = "mean ± standard deviation over seeds" if "±" in "".join(scores) else "one run each"
        return f"Expect, on new rows like the scored ones, in points ({spread}): {', '.join(scores)}."
    if len(choices) == 1 and choices[0].reason == "learned nothing":
        constant = number(choices[0].info.constant_score)
        return f"Expect no more on new data than the {constant} points of the best constant prediction."
    return ""


def _score(info: TaskInfo, row: Row, summary: Summary) -> str:
    """What a run of a method scores, by how much seeds and scored rows may move that."""
    mean = row.mean or 0.0
    if row.std is None or row.worst is None:
        spread = ", from a single run: how far seeds lie apart is not known"
    else:
        worst = f"the worst of {count(row.n, 'seed')} scored {number(row.worst)}"
        spread = f", ± {number(row.std)} from seed to seed; {worst}"
    failed = f", {row.failed} of {row.n} failed to train" if row.failed else ""
    rows = ""
    # Of words in a sentence, and of metrics that are no share of rows, this interval would not hold.
    if info.metric == "accuracy" and info.kind in ("classification", "choice") and 0 <= mean <= 100:
        between = wilson(mean / 100, info.scored_rows, summary.settings.alpha)
        ends = Interval(100 * between.low, 100 * between.high)
        rows = f"; other rows may give {ends}, as only {info.scored_rows} were scored"
    worse = [
        other.target
        for other in summary.transfer
        if (other.task, other.method, other.verdict) == (info.task, row.method, "worse")
    ]
    lost = f" On {listed(worse)} it is worse than the baseline." if worse else ""
    return (
        f"Expect {number(mean)} points of {info.metric} on new data like the scored rows{spread}{failed}{rows}. "
        f"The best constant prediction scores {number(info.constant_score)}.{lost}"
    )


def _next(choices: Sequence[Choice], summary: Summary) -> list[str]:
    """What to do, the most urgent first."""
    steps = (_train_better(choices, summary), missing_runs(summary), _more_seeds(choices, summary))
    return [step for step in (*steps, _saved_model(choices, summary)) if step]


def _train_better(choices: Sequence[Choice], summary: Summary) -> str:
    untrained = [choice for choice in choices if choice.reason in ("learned nothing", "instead")]
    if not untrained:
        return ""
    given = summary.settings.training
    # Steps take the place of epochs where they are given.
    length = "epochs" if given.get("max_steps") is None else "max_steps"
    rate, longer = (
        f"--{key.replace('_', '-')}" + (f", now {given[key]:g}" if given.get(key) is not None else "")
        for key in ("learning_rate", length)
    )
    rows = ", ".join(dict.fromkeys(str(choice.info.train_rows) for choice in untrained))
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
        return TOO_FEW_SEEDS
    return advice(summary, [row for row in rows if row.verdict == "cannot be told apart"])


def _saved_model(choices: Sequence[Choice], summary: Summary) -> str:
    usable = {choice.info.task for choice in choices if choice.row is not None}
    saved = [best for best in summary.best if best.task in usable]
    if not saved:
        return ""
    if len(choices) > 1:
        flattered = "; their own scores are optimistic, the means are not" if any(b.optimistic for b in saved) else ""
        return f"To use a model at once, take the task's in best/{flattered}."
    best = saved[0]
    flattered = "; its own score is optimistic, as the scored rows chose it" if best.optimistic else ""
    return f"To use a model at once, take {best.path}/: {best.method}, seed {best.seed}{flattered}."

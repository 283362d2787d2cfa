"""Sentences beside the verdicts: averages over tasks, spread, test rows, and what the verdicts rest on."""

from collections.abc import Iterable

from holdfast.study.statistics.group import Group
from holdfast.study.statistics.intervals import Difference
from holdfast.study.statistics.significance import interim_note
from holdfast.study.statistics.spread import SpreadRatio
from holdfast.wording import chance, in_points, level, number


def overall_note(method: str, baseline: str, mean: Difference, tasks: int, normalised: bool, alpha: float) -> str:
    """The mean over tasks, and which question it answers."""
    unit = "% of the way from the best constant prediction to a perfect score" if normalised else "points"
    return (
        f"Averaged over these {tasks} tasks, {method} − {baseline} = {number(mean.estimate)} {unit} "
        f"({level(alpha)} CI {mean.interval}); it holds for these tasks, not for tasks like these."
    )


def spread_note(
    method: str,
    baseline: str,
    spread: SpreadRatio,
    p_adjusted: float | None,
    tasks: int,
    failed: bool,
    alpha: float,
) -> str:
    """How the run-to-run spreads compare; a claim only where the permutation test supports it."""
    where = f"over {tasks} tasks" if tasks > 1 else "over these runs"
    numbers = (
        f"{where} its run-to-run SD{', failed runs included,' if failed else ''} is {spread.ratio:.2g} times that of "
        f"{baseline} ({chance(spread.p_value)}; for normal noise known within a factor of {spread.factor:.2g})"
    )
    if p_adjusted is None or p_adjusted > alpha:
        return f"{method} cannot be called steadier or less steady than {baseline}: {numbers}."
    return f"{method} is {'steadier' if spread.ratio < 1 else 'less steady'} than {baseline}: {numbers}."


def examples_note(task: str, method: str, baseline: str, wide: Difference, alpha: float) -> str:
    """The second line of a comparison: what is known about new rows of the same kind."""
    return (
        f"Over seeds and test examples, {method} − {baseline} on {task} = {number(wide.estimate)} points "
        f"({level(alpha)} CI {wide.interval})."
    )


def identical_note(task: str, method: str, group: Group) -> str | None:
    """A warning when at least three trained runs all scored the same, else None."""
    scores = group.trained_scores
    if len(scores) < 3 or len(set(scores)) > 1:
        return None
    what = f"All {len(scores)} trained runs of {method} on {task} scored {number(scores[0])}"
    if scores[0] >= 100:
        return f"{what}, the most there is: the task is too easy to tell methods apart."
    return f"{what}: the seed probably has no effect."


def untrained_note(task: str, idle: int, runs: int, constant: float) -> str | None:
    """Advice when at least half of a task's runs did not beat the best constant prediction, else None."""
    if not runs or 2 * idle < runs:
        return None
    return (
        f"On {task}, {idle} of {runs} runs did no better than always giving the same answer ({number(constant)} "
        "points), so this says little about the methods: train longer or at a higher rate (--epochs, "
        "--learning-rate), give more rows, or check the labels."
    )


def missing_note(task: str, method: str, seed: int, reason: str) -> str:
    """Names one run without a result; ``reason`` says why and what to do."""
    return f"{method} on {task} with seed {seed} is missing: {reason}."


def closing_notes(comparisons: int, delta: float, alpha: float, analyses: int, splits: Iterable[str]) -> list[str]:
    """What all verdicts share, said once; nothing where there are none.

    Args:
        comparisons: How many there are.
        delta: The smallest difference that matters, in points.
        alpha: The error level.
        analyses: How many times results with differing numbers of runs were analysed.
        splits: What was scored.
    """
    if not comparisons:
        return []
    interim = interim_note(analyses, alpha)
    names = set(splits) - {""}
    scored = names.pop() if len(names) == 1 else "test"
    holm = f", Holm over {comparisons} comparisons" if comparisons > 1 else ""
    closing = (
        f"A difference matters from δ = {in_points(delta)} on; error level {100 * alpha:g} %{holm}; "
        f"intervals are over seeds only; same {scored} set."
    )
    return [closing] if interim is None else [interim, closing]

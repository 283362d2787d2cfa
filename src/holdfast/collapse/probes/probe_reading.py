"""What probes of checkpoints say in words, and what they do not."""

import itertools
import math

from holdfast.records.probes import LayerScore, ProbedOn, ProbeResults
from holdfast.wording import signed

_Z = 1.959964
"""Normal quantile of two-sided 95 %."""


def sentences(results: ProbeResults) -> list[str]:
    """Return the answer in words: the last layer probed of every checkpoint, then what the numbers rest on.

    Differences are set against the choice of the scored rows alone, by the normal approximation for two independent
    shares; both models are scored on the same rows, which as a rule makes the true margin smaller.
    """
    lines = [line for checkpoint in results.checkpoints for line in _of_checkpoint(results, checkpoint.name)]
    lines += _between(results)
    lines += _means(results)
    lines += _unjudged(results) + _not_above_constant(results)
    return [*lines, *_basis(results)]


def margin(first: LayerScore, second: LayerScore, task: ProbedOn) -> float | None:
    """Return the 95 % margin of a difference, in points, from the choice of scored rows; None where not known."""
    if task.metric != "accuracy" or first.mean is None or second.mean is None:
        return None
    shares = [min(max(score.mean / 100, 0.0), 1.0) for score in (first, second) if score.mean is not None]
    # A share of 0 or 1 has no spread of its own: a row more and one less on each side (Agresti & Caffo 2000).
    rows = task.scored_rows + 2
    spread = [(share * task.scored_rows + 1) / rows for share in shares]
    return 100 * _Z * math.sqrt(sum(share * (1 - share) / rows for share in spread))


def _of_checkpoint(results: ProbeResults, name: str) -> list[str]:
    sides: dict[str, list[str]] = {"below": [], "above": [], "equal": []}
    beyond: list[str] = []
    within: list[str] = []
    missing: list[str] = []
    for task in results.tasks:
        layer = results.layers(task.task)[-1]
        score, start = results.of(task.task, layer, name), results.of(task.task, layer, results.pretrained.name)
        if score.difference is None:
            missing.append(task.task)
            continue
        side = "below" if score.difference < 0 else "above" if score.difference > 0 else "equal"
        sides[side].append(task.task if side == "equal" else f"{task.task} ({signed(score.difference)})")
        limit = margin(score, start, task)
        if limit is not None:
            (beyond if abs(score.difference) > limit else within).append(task.task)
    layer = results.layers(results.tasks[0].task)[-1]
    lines = []
    parts = [
        f"{words} {results.pretrained.name} on {', '.join(tasks)}"
        for words, tasks in (
            ("below", sides["below"]),
            ("above", sides["above"]),
            ("equal to", sides["equal"]),
        )
        if tasks
    ]
    if parts:
        lines.append(f"{name}, layer {layer}: its probes score, in points, {'; '.join(parts)}.")
    if beyond:
        lines.append(
            f"{name}: larger than the choice of scored rows explains (95 %, each difference by itself) on "
            f"{', '.join(beyond)}."
        )
    elif within:
        lines.append(
            f"{name}: no difference in accuracy is larger than the choice of scored rows explains "
            "(95 %, each difference by itself)."
        )
    if missing:
        lines.append(
            f"{name}: no difference on {', '.join(missing)}, where a score is undefined or the model diverged."
        )
    return lines


def _between(results: ProbeResults) -> list[str]:
    """The checkpoints with each other: pairs that differ by more than the choice of scored rows explains."""
    lines = []
    pairs = list(itertools.combinations([checkpoint.name for checkpoint in results.checkpoints], 2))
    for first, second in pairs:
        beyond = []
        for task in results.tasks:
            layer = results.layers(task.task)[-1]
            one, other = results.of(task.task, layer, first), results.of(task.task, layer, second)
            limit = margin(one, other, task)
            if limit is not None and one.mean is not None and other.mean is not None:
                gap = other.mean - one.mean
                if abs(gap) > limit:
                    beyond.append(f"{task.task} ({signed(gap)})")
        if beyond:
            lines.append(
                f"{second} against {first}: the difference in accuracy is larger than the choice of scored rows "
                f"explains on {', '.join(beyond)}."
            )
    if pairs and not lines and any(task.metric == "accuracy" for task in results.tasks):
        lines.append("No two checkpoints differ in accuracy by more than the choice of scored rows explains.")
    return lines


def _means(results: ProbeResults) -> list[str]:
    if len(results.tasks) < 2:
        return []
    lines = []
    for checkpoint in results.checkpoints:
        last = [results.of(task.task, results.layers(task.task)[-1], checkpoint.name) for task in results.tasks]
        differences = [score.difference for score in last if score.difference is not None]
        if len(differences) == len(results.tasks):
            lines.append(f"{checkpoint.name} {signed(math.fsum(differences) / len(differences))}")
    if not lines:
        return []
    tasks = f"{len(results.tasks)} tasks"
    if len({task.metric for task in results.tasks}) > 1:
        tasks += ", whose metrics differ"
    return [f"Mean difference from {results.pretrained.name} over the {tasks}: {', '.join(lines)}."]


def _unjudged(results: ProbeResults) -> list[str]:
    others = [f"{task.task} ({task.metric})" for task in results.tasks if task.metric != "accuracy"]
    if not others:
        return []
    return [f"Not set against the choice of scored rows, which is known for accuracy alone: {', '.join(others)}."]


def _not_above_constant(results: ProbeResults) -> list[str]:
    empty = []
    for task in results.tasks:
        means = [score.mean for score in results.scores if score.task == task.task]
        if all(mean is None or mean <= task.constant_score for mean in means):
            empty.append(task.task)
    if not empty:
        return []
    named = ", ".join(empty)
    return [f"No probe scores above the best constant prediction on {named}: differences there mean nothing."]


def _basis(results: ProbeResults) -> list[str]:
    seeds = (
        f"The spread is over {results.seeds} probe seeds, which differ in the training rows held out to choose the "
        "regularisation; it says nothing on the luck of tuning."
        if results.seeds > 1
        else "There is one probe seed, so no spread is known."
    )
    return [
        seeds,
        "A checkpoint is one run of its method: whether the method keeps more than another takes several training "
        "seeds of both, which holdfast compare --probe runs.",
    ]

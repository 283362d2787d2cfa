"""What the runs of a study score beside their own task: comparisons with the baseline, target by target."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Literal

from holdfast.records.run import RunRecord
from holdfast.records.summary import Settings, Target, TaskInfo, TransferRow
from holdfast.study.analysis.columns import comparison_columns, spread_columns
from holdfast.study.analysis.failures import Outcome
from holdfast.study.analysis.results_grid import Cell, TaskFacts, group_of
from holdfast.study.statistics.comparisons import TaskGroups, compare_with_baseline
from holdfast.study.statistics.sentences import PairwiseComparison, describe

_DECIDED = ("better", "worse", "practically equal")


def transfer(
    cells: Mapping[str, Sequence[Cell]],
    infos: Sequence[TaskInfo],
    settings: Settings,
    reference: RunRecord | None,
) -> tuple[list[TransferRow], list[str]]:
    """Return a row for each task, target and method, and the verdicts in words.

    ``cells``: by task, with outcomes, as the comparison on the task itself has them. ``reference``: the record of
    the pre-trained model's probes. Out-of-domain scores and probes are a family of comparisons each. Scores that are
    undefined count as the best constant prediction's.
    """
    rows: list[TransferRow] = []
    text: list[str] = []
    kind: Literal["ood", "probe"]
    for kind in ("ood", "probe"):
        places = [(info, target) for info in infos for target in info.targets if target.kind == kind]
        scores = {
            (info.task, target.name, cell.method, cell.seed): score
            for info, target in places
            for cell in cells[info.task]
            if (score := _outcome(cell, target)) is not None
        }
        several = len(infos) > 1
        groups = [_task_groups(info, target, cells[info.task], scores, several, settings) for info, target in places]
        comparisons = compare_with_baseline(groups, settings.methods, settings.baseline, settings.delta, settings.alpha)
        verdicts = {(one.task, one.method): one for one in comparisons}
        text += decided_and_rest(comparisons)
        for (info, target), group in zip(places, groups, strict=True):
            for method in settings.methods:
                own = [cell for cell in cells[info.task] if cell.method == method]
                points = [scores.get((info.task, target.name, method, cell.seed)) for cell in own]
                rows.append(
                    _row(
                        info.task,
                        target,
                        method,
                        [None if one is None else one.score for one in points],
                        verdicts.get((group.task, method)),
                        _probe_points(reference, target),
                    )
                )
    return rows, text


def probe_outcome(record: RunRecord, target: str, constant: float) -> Outcome | None:
    """Return what the probes of a run score on a task, their mean; None where it was not probed.

    ``constant``: points of the best constant prediction, which probes of a model that diverged count as.
    """
    probed = record.probes.get(target)
    if probed is None:
        return None
    known = [score for score in probed.scores if score is not None and math.isfinite(score)]
    return Outcome(100 * fmean(known), None) if known else Outcome(constant, "no probe has a score")


def decided_and_rest(comparisons: Sequence[PairwiseComparison]) -> list[str]:
    """Return the decided comparisons in words one by one; of the others, which can be many, only how many there are."""
    text = [describe(one, name_task=True) for one in comparisons if one.verdict in _DECIDED]
    rest = sorted((one for one in comparisons if one.verdict not in _DECIDED), key=lambda one: one.verdict)
    for verdict, group in groupby(rest, key=lambda one: one.verdict):
        open_ones = list(group)
        tasks = ", ".join(dict.fromkeys(one.task for one in open_ones))
        methods = ", ".join(dict.fromkeys(one.method for one in open_ones))
        why = (
            "have too few runs for a verdict: run at least 3, better 5 or more"
            if verdict == "too few runs"
            else "cannot be told apart from the baseline with these seeds"
        )
        text.append(f"{len(open_ones)} of {len(comparisons)} comparisons ({methods} on {tasks}) {why}.")
    return text


def _outcome(cell: Cell, target: Target) -> Outcome | None:
    if cell.record is None or cell.outcome is None:
        return None
    if target.kind == "probe":
        return probe_outcome(cell.record, target.name, target.constant_score)
    splits = [cell.record.extra_metrics.get(name) for name in target.members or [target.name]]
    scores = [metrics.get(target.metric) for metrics in splits if metrics is not None]
    if len(scores) < len(splits):
        return None
    known = [score for score in scores if score is not None and math.isfinite(score)]
    if len(known) < len(scores):
        return Outcome(target.constant_score, f"{target.metric} is undefined")
    # A run that learned nothing has nothing to carry over.
    return Outcome(100 * fmean(known), cell.outcome.reason)


def _probe_points(reference: RunRecord | None, target: Target) -> float | None:
    if reference is None or target.kind != "probe":
        return None
    outcome = probe_outcome(reference, target.name, target.constant_score)
    return None if outcome is None or outcome.failed else outcome.score


def _task_groups(
    info: TaskInfo,
    target: Target,
    cells: Sequence[Cell],
    scores: Mapping[tuple[str, str, str, tuple[int, ...]], Outcome],
    several: bool,
    settings: Settings,
) -> TaskGroups:
    name = f"{target.name} (probe)" if target.kind == "probe" else target.name
    groups = {}
    for method in settings.methods:
        ended = [
            (cell.seed, score)
            for cell in cells
            if cell.method == method and (score := scores.get((info.task, target.name, method, cell.seed))) is not None
        ]
        groups[method] = group_of(ended)
    facts = TaskFacts(target.metric, target.constant_score, target.rows, target.split)
    return TaskGroups(f"{name}, tuned on {info.task}" if several else name, facts.scale, groups)


def _row(
    task: str,
    target: Target,
    method: str,
    scores: list[float | None],
    comparison: PairwiseComparison | None,
    reference: float | None,
) -> TransferRow:
    return TransferRow(
        task=task,
        target=target.name,
        kind=target.kind,
        method=method,
        **spread_columns(scores),
        worst=min((score for score in scores if score is not None), default=None),
        reference=reference,
        **comparison_columns(comparison),
        scores=scores,
    )

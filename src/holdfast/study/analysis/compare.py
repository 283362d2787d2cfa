"""From run records to rows, averages and sentences: which method to use on this data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Any

import holdfast
from holdfast.errors import HoldfastError
from holdfast.records.run import DatasetKey, RunRecord, RunSpec
from holdfast.records.summary import Best, InstabilityRow, Overall, Representation, Row, Settings, Summary, TaskInfo
from holdfast.study.analysis.columns import comparison_columns, spread_columns, without_result
from holdfast.study.analysis.references import reference_rows
from holdfast.study.analysis.results_grid import (
    Cell,
    PerExample,
    TaskFacts,
    cells_of_grid,
    cells_of_records,
    facts_of_records,
    facts_of_task,
    task_groups,
    with_outcomes,
)
from holdfast.study.analysis.secondary_metrics import further_metrics
from holdfast.study.analysis.transfer import transfer
from holdfast.study.plan.controls import control_notes
from holdfast.study.statistics.comparisons import average, compare_with_baseline, sentences
from holdfast.study.statistics.intervals import wilson
from holdfast.study.statistics.notes import closing_notes, missing_note, untrained_note
from holdfast.study.statistics.sentences import PairwiseComparison


@dataclass(frozen=True)
class Comparison:
    """What ``compare_runs`` found."""

    baseline: str
    rows: list[Row]
    overall: list[Overall]
    sentences: list[str]


def compare_runs(
    records: Sequence[RunRecord],
    baseline: str | None = None,
    delta: float = 1.0,
    alpha: float = 0.05,
    per_example: PerExample | None = None,
) -> Comparison:
    """Compare every method with the baseline on every task; the order of the records does not matter.

    ``baseline`` is a method's text, by default ``vanilla``, or the first by name where that is not there.
    ``delta`` is the smallest difference that matters, in points, chosen before the runs; ``alpha`` the error
    level. ``per_example`` adds, for accuracy, what is known about new rows. Seeds that some method has on a task
    and another has not are reported as missing. Raises HoldfastError for records that cannot be compared.
    """
    if not records:
        raise HoldfastError("no run records to compare; give the records of at least one finished run")
    cells = cells_of_records(records)
    by_task = {task: list(group) for task, group in groupby(cells, key=lambda cell: cell.task)}
    methods = sorted({cell.method for cell in cells})
    if baseline is None:
        baseline = "vanilla" if "vanilla" in methods else methods[0]
    methods.sort(key=lambda method: method != baseline)
    facts = {task: facts_of_records(task, group) for task, group in by_task.items()}
    by_task = {task: with_outcomes(group, facts[task]) for task, group in by_task.items()}
    return _compare(by_task, facts, methods, baseline, delta, alpha, per_example or {})


def summarise(
    settings: Settings,
    tasks: list[TaskInfo],
    grid: Sequence[RunSpec],
    records: Mapping[str, RunRecord],
    best: list[Best],
    analyses: int,
    names: Mapping[DatasetKey, str],
    per_example: PerExample | None = None,
    instability: Sequence[InstabilityRow] = (),
    representations: Sequence[Representation] = (),
) -> Summary:
    """The summary of a study, complete or not.

    ``records`` go by ``RunSpec.id``; runs of the grid without a finished record count as missing. ``names``
    has the tasks' by ``RunSpec.dataset_key``. ``analyses`` counts how often results with differing numbers of runs were
    analysed; ``instability`` and ``representations`` are passed on. Raises HoldfastError when no method is the
    baseline.
    """
    if len({task.task for task in tasks}) < len(tasks):
        raise HoldfastError(f"tasks share a name ({', '.join(task.task for task in tasks)}); rename one of the files")
    cells = cells_of_grid(grid, records, settings.seeds, names)
    methods = list(dict.fromkeys(cell.method for cell in cells))
    facts = {info.task: facts_of_task(info) for info in tasks}
    by_task = {task: with_outcomes(list(group), facts[task]) for task, group in groupby(cells, key=lambda c: c.task)}
    comparison = _compare(
        by_task, facts, methods, settings.baseline, settings.delta, settings.alpha, per_example or {}, analyses
    )
    reference = next((records[spec.id] for spec in grid if spec.probed and spec.untrained and spec.id in records), None)
    transfer_rows, transfer_sentences = transfer(by_task, tasks, settings, reference)
    return Summary(
        holdfast=holdfast.__version__,
        settings=settings,
        tasks=tasks,
        results=comparison.rows,
        overall=comparison.overall,
        sentences=comparison.sentences,
        errors=[
            {"run": c.run, "task": c.task, "method": c.method, "seed": str(c.seed[0]), "error": c.error}
            for c in cells
            if c.record is None
        ]
        # Runs that are not there to be compared have no cells. A reference that is missing is a note.
        + without_result(
            [spec for spec in grid if spec.role != "compared" and spec.reference is None],
            records,
            {spec.id: names[spec.dataset_key] for spec in grid},
        ),
        best=best,
        looks=analyses,
        luck=list(instability),
        transfer=transfer_rows,
        transfer_sentences=transfer_sentences,
        representations=list(representations),
        metrics=further_metrics(by_task, tasks, methods),
        references=reference_rows(grid, records, names),
    )


def _compare(
    by_task: Mapping[str, Sequence[Cell]],
    facts: Mapping[str, TaskFacts],
    methods: list[str],
    baseline: str,
    delta: float,
    alpha: float,
    per_example: PerExample,
    analyses: int = 1,
) -> Comparison:
    """Compare the results grid of each task, with outcomes, in the order of the rows: method, then seed."""
    _check_options(methods, baseline, delta, alpha)
    cells = [cell for group in by_task.values() for cell in group]
    groups = [task_groups(task, group, methods, facts[task], per_example) for task, group in by_task.items()]
    comparisons = compare_with_baseline(groups, methods, baseline, delta, alpha)
    verdicts = {(one.task, one.method): one for one in comparisons}
    # Numbers of training rows are no tasks: a mean over them would depend on which were chosen.
    curves = _several_sizes(cells)
    means = [] if curves else average(groups, methods, baseline, alpha)
    rows = []
    for task, group in by_task.items():
        seconds = _median_seconds(cell for cell in group if cell.method == baseline)
        for method in methods:
            own = [cell for cell in group if cell.method == method]
            rows.append(_row(task, method, own, verdicts.get((task, method)), seconds, alpha))
    text = _learned_nothing(by_task, facts)
    text += sentences(groups, comparisons, means, baseline, alpha, spreads=not curves)
    text += control_notes(methods, baseline)
    text += [missing_note(c.task, c.method, c.seed[0], c.reason) for c in cells if c.record is None]
    splits = [facts[task].split for task in by_task]
    text += closing_notes(len(comparisons), delta, alpha, analyses, splits)
    overall = [
        Overall(
            method=one.method,
            difference=one.mean.estimate,
            ci_low=one.mean.interval.low,
            ci_high=one.mean.interval.high,
            tasks=one.tasks,
            normalised=one.normalised,
        )
        for one in means
    ]
    return Comparison(baseline, rows, overall, text)


def _several_sizes(cells: Sequence[Cell]) -> bool:
    """Whether methods were trained on several numbers of rows of a task."""
    datasets = {cell.record.spec.dataset_key for cell in cells if cell.record}
    return len({source for source, _ in datasets}) < len(datasets)


def _learned_nothing(by_task: Mapping[str, Sequence[Cell]], facts: Mapping[str, TaskFacts]) -> list[str]:
    notes = []
    for task, group in by_task.items():
        ended = [cell.outcome for cell in group if cell.outcome]
        idle = sum(outcome.failed or outcome.score <= facts[task].constant for outcome in ended)
        notes.append(untrained_note(task, idle, len(ended), facts[task].constant))
    return [note for note in notes if note]


def _check_options(methods: Sequence[str], baseline: str, delta: float, alpha: float) -> None:
    if baseline not in methods:
        raise HoldfastError(f"baseline {baseline!r} is not one of the methods ({', '.join(methods)}); name one of them")
    if not delta > 0:
        raise HoldfastError(f"delta is {delta:g}, but the smallest difference that matters must be above 0 points")
    if not 0 < alpha < 0.5:
        raise HoldfastError(f"alpha is {alpha:g}, but an error level must lie between 0 and 0.5; 0.05 is usual")


def _median_seconds(cells: Iterable[Cell]) -> float | None:
    seconds = [cell.record.train_seconds for cell in cells if cell.record]
    return median(seconds) if seconds else None


def _row(
    task: str,
    method: str,
    cells: Sequence[Cell],
    comparison: PairwiseComparison | None,
    baseline_seconds: float | None,
    alpha: float,
) -> Row:
    ended = [cell.outcome for cell in cells if cell.outcome]
    scores = [outcome.score for outcome in ended]
    trained = [outcome.score for outcome in ended if not outcome.failed]
    failed = len(scores) - len(trained)
    rate = wilson(failed / len(scores), len(scores), alpha) if scores else None
    seconds = _median_seconds(cells)
    return Row(
        task=task,
        method=method,
        **spread_columns(scores),
        failed=failed,
        failed_low=rate.low if rate else None,
        failed_high=rate.high if rate else None,
        missing=len(cells) - len(scores),
        worst=min(scores, default=None),
        best=max(scores, default=None),
        trained_mean=fmean(trained) if trained else None,
        seconds=seconds,
        cost_ratio=seconds / baseline_seconds if seconds is not None and baseline_seconds else None,
        scores=[cell.outcome.score if cell.outcome else None for cell in cells],
        failed_seeds=[cell.seed[0] for cell in cells if cell.outcome and cell.outcome.failed],
        **_against_baseline(comparison),
    )


def _against_baseline(comparison: PairwiseComparison | None) -> dict[str, Any]:
    """The columns that compare; all null for the baseline itself."""
    if comparison is None:
        columns = "trained_difference trained_ci_low trained_ci_high win_probability win_low win_high"
        return comparison_columns(None) | dict.fromkeys(columns.split())
    pair = comparison.pair
    trained = pair.failures.trained if pair.failures else None
    return comparison_columns(comparison) | {
        "trained_difference": trained.estimate if trained else None,
        "trained_ci_low": trained.interval.low if trained else None,
        "trained_ci_high": trained.interval.high if trained else None,
        "win_probability": pair.win,
        "win_low": pair.win_interval.low if pair.win_interval else None,
        "win_high": pair.win_interval.high if pair.win_interval else None,
    }

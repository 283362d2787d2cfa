"""The table of results as text, the same on a terminal, a page and in Markdown."""

from dataclasses import dataclass

from holdfast.records.run import RunRecord
from holdfast.records.summary import Overall, Row, SequenceSummary, Settings, Summary, TaskInfo
from holdfast.report.text import (
    ABSENT,
    clean,
    count,
    decimals,
    duration,
    interval,
    percent,
    points,
    signed,
    times,
)

NORMALISED = "% of the way from the best constant prediction to a perfect score"
"""Unit of means over tasks whose metrics have different scales."""


@dataclass(frozen=True)
class Cells:
    """One method on one task, every cell as text; an empty string where nothing is to be said."""

    method: str
    baseline: bool
    runs: str
    troubles: tuple[str, ...]
    """Failed and missing runs with their counts; empty when there are none."""
    failure_rate: str
    """Interval of the share of runs that fail; only when a run failed."""
    mean: str
    std: str
    worst: str
    best: str
    trained: str
    """Mean of the runs that trained; only when a run failed."""
    difference: str
    interval: str
    trained_difference: str
    """The difference among runs that trained with its interval; only when a run of the pair failed."""
    ahead: str
    ahead_interval: str
    verdict: str
    cost: str
    seconds: str

    @property
    def spread(self) -> str:
        """Mean and standard deviation in one cell."""
        return self.mean if self.std == ABSENT else f"{self.mean} ± {self.std}"

    @property
    def range(self) -> str:
        """Worst and best score in one cell."""
        return ABSENT if ABSENT in (self.worst, self.best) else f"{self.worst}–{self.best}"


def rows_of(summary: Summary, task: str) -> list[Row]:
    """Return the results of one task in the summary's order."""
    return [row for row in summary.results if row.task == task]


def task_of(record: RunRecord, summary: Summary) -> str | None:
    """Return the name that ``summary`` has for a run's task, which tells its training rows where sizes differ."""
    for info in summary.tasks:
        if info.task in (record.task_name, f"{record.task_name} ({record.spec.train_size} rows)"):
            return info.task
    return None


def method_order(summary: Summary | SequenceSummary) -> dict[str, int]:
    """Return each method's place, which gives its colour and marker in every figure."""
    return {method: index for index, method in enumerate(dict.fromkeys(row.method for row in summary.results))}


def cells(row: Row, settings: Settings) -> Cells:
    """Return one result as text."""
    digits = decimals(settings.delta)
    baseline = row.verdict == "baseline"
    trained_difference = ""
    if row.trained_difference is not None:
        between = interval(row.trained_ci_low, row.trained_ci_high, digits)
        trained_difference = f"{signed(row.trained_difference, digits)} {between}".rstrip()
    return Cells(
        method=clean(row.method),
        baseline=baseline,
        runs=str(row.n),
        troubles=tuple(troubles(row)),
        failure_rate=_between(row.failed_low, row.failed_high) if row.failed else "",
        mean=points(row.mean, digits),
        std=points(row.std, digits),
        worst=points(row.worst, digits),
        best=points(row.best, digits),
        trained=points(row.trained_mean, digits) if row.failed and row.trained_mean is not None else "",
        difference="" if baseline else signed(row.difference, digits),
        interval="" if baseline else interval(row.ci_low, row.ci_high, digits),
        trained_difference=trained_difference,
        ahead="" if baseline else percent(row.win_probability),
        ahead_interval=_between(row.win_low, row.win_high),
        verdict=row.verdict,
        cost=times(row.cost_ratio),
        seconds=duration(row.seconds),
    )


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def troubles(row: Row) -> list[str]:
    """Return the counts of failed and missing runs in words, such as ``1 failed``."""
    return [f"{number} {word}" for number, word in ((row.failed, "failed"), (row.missing, "missing")) if number]


def overall_cells(overall: Overall, settings: Settings) -> tuple[str, str, str]:
    """Return a method's mean over all tasks as text: method, difference, interval."""
    digits = decimals(settings.delta)
    return (
        clean(overall.method),
        signed(overall.difference, digits),
        interval(overall.ci_low, overall.ci_high, digits),
    )


def overall_title(summary: Summary) -> str:
    """Return what the means over the tasks are and in which unit."""
    if any(overall.normalised for overall in summary.overall):
        return f"Mean difference over these tasks, in {NORMALISED}"
    return "Mean difference over these tasks, in points"


def heading(info: TaskInfo) -> str:
    """Return what a task's table shows, such as ``rte: accuracy in points, 277 test rows``."""
    return f"{clean(info.task)}: {clean(info.metric)} in points, {count(info.scored_rows, split_row(info))}"


def split_row(info: TaskInfo) -> str:
    """Return what one scored row is called."""
    return f"{clean(info.scored_split)} row"


def description(info: TaskInfo, digits: int) -> str:
    """Return what the scores of a task rest on, in one line."""
    return (
        f"Trained on {count(info.train_rows, 'row')}; scored: {clean(info.selection)}; "
        f"the best constant prediction scores {points(info.constant_score, digits)}."
    )

"""The results: a table a task of the metric that is judged, and one of the metrics that are not."""

from collections.abc import Sequence

from holdfast.records.run import REFERENCE_NAMES, RunRecord
from holdfast.records.summary import Row as Result
from holdfast.records.summary import Settings, Summary, TaskInfo
from holdfast.report.block import Block, Cell, Heading, Row, Table
from holdfast.report.rows import CONSTANT, rows_of, troubles
from holdfast.wording import (
    ABSENT,
    clean,
    count,
    decimals,
    duration,
    interval,
    level,
    percent,
    points,
    signed,
    spread,
    times,
)

REFERENCES = (
    "Rows in brackets are references, without seeds and without a verdict: the best constant, and linear models of "
    "words and pairs of words (TF-IDF) and of the pre-trained model's last layer (frozen embeddings)."
)
FURTHER = "further metrics, mean ± std, not judged"


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block with a part a task; none without tasks."""
    digits = decimals(summary.settings.delta)
    parts = [
        Block(
            title=f"{clean(info.task)}: {clean(info.metric)} in points, "
            f"{count(info.scored_rows, f'{clean(info.scored_split)} row')}",
            intro=f"Trained on {count(info.train_rows, 'row')}; scored: {clean(info.selection)}; "
            f"the best constant prediction scores {points(info.constant_score, digits)}.",
            table=result_table(rows_of(summary, info.task), summary.settings, _references(summary, info)),
            notes=_reference_notes(summary, info),
            parts=_further(summary, info),
        )
        for info in summary.tasks
    ]
    return [Block("Results", intro=REFERENCES if summary.references else "", parts=tuple(parts))] if parts else []


def result_table(results: Sequence[Result], settings: Settings, references: Sequence[Row] = ()) -> Table:
    """Return the results of one task, a row a method, and below them what to hold them against."""
    headings = (
        Heading("method", "left"),
        Heading("runs"),
        Heading("mean ± std"),
        Heading("worst–best"),
        Heading(f"difference [{level(settings.alpha)} CI]"),
        Heading("P(ahead)"),
        Heading("verdict", "left", beside=True),
        Heading("training time", aside=True),
        Heading("cost"),
    )
    return Table(headings, (*(_row(result, settings) for result in results), *references))


def _row(row: Result, settings: Settings) -> Row:
    digits = decimals(settings.delta)
    baseline = row.verdict == "baseline"
    between = interval(row.ci_low, row.ci_high, digits)
    trained_between = interval(row.trained_ci_low, row.trained_ci_high, digits)
    rate = f"{_between(row.failed_low, row.failed_high)} fail".lstrip() if row.failed_low is not None else ""
    cells = (
        Cell(str(row.n), tuple(troubles(row)), (rate,) if row.failed and rate else ()),
        Cell(spread(row.mean, row.std, digits), _trained(points(row.trained_mean, digits) if row.failed else ABSENT)),
        Cell(ends(row, digits)),
        Cell(
            "" if baseline else f"{signed(row.difference, digits)} {between}".strip(),
            _trained(f"{signed(row.trained_difference, digits)} {trained_between}".strip()),
        ),
        Cell(
            "" if baseline else percent(row.win_probability),
            aside=() if row.win_low is None else (_between(row.win_low, row.win_high),),
        ),
        Cell(row.verdict, verdict=row.verdict),
        Cell(duration(row.seconds)),
        Cell(times(row.cost_ratio)),
    )
    return Row(clean(row.method), cells, "baseline" if baseline else "method")


def _references(summary: Summary, info: TaskInfo) -> tuple[Row, ...]:
    """Return a row for each reference of a task, the constant first; none where nothing was fitted."""
    fitted = [row for row in summary.references if row.task == info.task]
    if not fitted:
        return ()
    digits = decimals(summary.settings.delta)
    baseline = next((row.seconds for row in rows_of(summary, info.task) if row.verdict == "baseline"), None)
    return (
        _reference(CONSTANT, points(info.constant_score, digits), None, None),
        *(
            _reference(
                f"({REFERENCE_NAMES[row.reference]})",
                points(row.score, digits),
                row.seconds,
                row.seconds / baseline if baseline else None,
            )
            for row in fitted
        ),
    )


def _reference(name: str, score: str, seconds: float | None, ratio: float | None) -> Row:
    """Return the row of what has one score and no verdict; in the latter's place stands what it took."""
    took = "" if seconds is None else duration(seconds)
    cost = "" if ratio is None else times(ratio)
    cells = ("", score, "", "", "", f"reference, {took}" if took else "reference", took, cost)
    return Row(name, tuple(map(Cell, cells)), "reference")


def _reference_notes(summary: Summary, info: TaskInfo) -> tuple[str, ...]:
    return tuple(
        f"{REFERENCE_NAMES[row.reference]}: {clean(row.note)}."
        for row in summary.references
        if row.task == info.task and row.note
    )


def ends(row: Result, digits: int) -> str:
    """Return the worst and the best score of a method's runs, such as ``66.0–70.0``."""
    return ABSENT if row.worst is None else f"{points(row.worst, digits)}–{points(row.best, digits)}"


def _trained(number: str) -> tuple[str, ...]:
    return () if number == ABSENT else (f"trained {number}",)


def _between(low: float | None, high: float | None) -> str:
    return f"{percent(low)} to {percent(high)}"


def _further(summary: Summary, info: TaskInfo) -> tuple[Block, ...]:
    rows = [row for row in summary.metrics if row.task == info.task]
    if not rows:
        return ()
    digits = decimals(summary.settings.delta)
    metrics = list(dict.fromkeys(row.metric for row in rows))
    cells = {(row.method, row.metric): Cell(spread(row.mean, row.std, digits)) for row in rows}
    table = Table(
        (Heading("method", "left"), *(Heading(clean(metric)) for metric in metrics)),
        tuple(
            Row(clean(method), tuple(cells[method, metric] for metric in metrics))
            for method in dict.fromkeys(row.method for row in rows)
        ),
    )
    return (Block(FURTHER, table=table),)

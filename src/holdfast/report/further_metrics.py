"""A task's metrics that are not judged, beside each other."""

from dataclasses import dataclass

from holdfast.records.summary import MetricRow, Summary
from holdfast.report.text import ABSENT, clean, decimals, points

TITLE = "further metrics, mean ± std, not judged"


@dataclass(frozen=True)
class MetricTable:
    """One task's table as text."""

    header: tuple[str, ...]
    """Of all but the methods, which stand before them."""
    methods: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]


def metric_table(summary: Summary, task: str) -> MetricTable | None:
    """Return the table of one task; None where it has no metric but the primary."""
    rows = [row for row in summary.metrics if row.task == task]
    if not rows:
        return None
    metrics = tuple(dict.fromkeys(row.metric for row in rows))
    methods = tuple(dict.fromkeys(row.method for row in rows))
    found = {(row.method, row.metric): row for row in rows}
    digits = decimals(summary.settings.delta)
    return MetricTable(
        header=tuple(map(clean, metrics)),
        methods=tuple(map(clean, methods)),
        lines=tuple(tuple(_spread(found[method, metric], digits) for metric in metrics) for method in methods),
    )


def _spread(row: MetricRow, digits: int) -> str:
    mean, std = points(row.mean, digits), points(row.std, digits)
    return mean if std == ABSENT else f"{mean} ± {std}"

"""What the runs of a study score on the metrics of their task that are not compared."""

from collections.abc import Mapping, Sequence

from holdfast.records.summary import MetricRow, TaskInfo
from holdfast.study.analysis.columns import spread_columns
from holdfast.study.analysis.results_grid import Cell


def further_metrics(
    cells: Mapping[str, Sequence[Cell]], infos: Sequence[TaskInfo], methods: Sequence[str]
) -> list[MetricRow]:
    """Return a row for each task, metric but the primary, and method; runs without a defined score are left out.

    ``cells``: by task. None of these is tested: the primary metric was chosen before the runs.
    """
    rows = []
    for info in infos:
        records = [cell.record for cell in cells[info.task] if cell.record is not None]
        metrics = dict.fromkeys(metric for record in records for metric in record.metrics if metric != info.metric)
        for metric in metrics:
            for method in methods:
                own = [cell.record for cell in cells[info.task] if cell.method == method]
                scores = [None if record is None else record.points(metric) for record in own]
                spread = spread_columns(scores)
                rows.append(MetricRow(task=info.task, metric=metric, method=method, **spread, scores=scores))
    return rows

"""What a method costs against what it scores: one panel a task."""

from holdfast.records.summary import Row, Summary, TaskInfo
from holdfast.report.figures.intervals import mean_interval
from holdfast.report.figures.style import (
    Figure,
    Panel,
    bar,
    colour,
    frame,
    inert,
    marks,
    padded,
    reach,
    rule,
    symbol,
    with_data,
)
from holdfast.report.rows import method_order, rows_of
from holdfast.wording import clean, decimals, points, times


def panels(summary: Summary) -> list[Panel]:
    """Return one panel a task on which at least one method has both a score and a cost."""
    return with_data(_panel(info, summary) for info in summary.tasks)


def _panel(info: TaskInfo, summary: Summary) -> Panel:
    digits = decimals(summary.settings.delta)
    order = method_order(summary)
    data = []
    said = []
    for row in rows_of(summary, info.task):
        if row.mean is not None and row.cost_ratio is not None:
            text = f"{times(row.cost_ratio)}, mean {points(row.mean, digits)}"
            said.append(f"{clean(row.method)}: {text}.")
            data.append(_point(row, row.cost_ratio, row.mean, order[row.method], text, info, summary.settings.alpha))
    layout = frame(240, f"training time, × {summary.settings.baseline}", f"mean {info.metric}")
    layout["xaxis"] |= {"range": padded([*reach(data, "x"), 1.0], 0.08, 0.1), "ticksuffix": "×"}
    layout["yaxis"]["range"] = padded(reach(data, "y") or [0.0])
    layout["shapes"] = [rule(1.0, dash="dot")]
    return Panel(
        title=f"{clean(info.task)}: cost and mean {clean(info.metric)}",
        alt=f"Training time over the baseline's and mean score on {clean(info.task)}. " + " ".join(said),
        figure={"data": data, "layout": layout},
    )


def _point(row: Row, cost: float, mean: float, method: int, text: str, info: TaskInfo, alpha: float) -> Figure:
    marker = {"size": 12, "color": colour(method), "symbol": symbol(method)}
    trace = marks("cost", method, [cost], [mean], [f"{inert(row.method)}<br>{text}"], marker)
    scores = [score for score in row.scores if score is not None]
    # With a failed run the mean belongs to two kinds of runs, and Student's interval to neither.
    between = None if row.failed else mean_interval(scores, alpha, info)
    if between is not None:
        trace["error_y"] = bar(mean, between[1], between[2], colour(method), 1)
    return trace

"""Every run as a dot: one panel a task, one row a method."""

from itertools import pairwise
from typing import Any, NamedTuple

from holdfast.records.summary import Row, Settings, Summary, TaskInfo
from holdfast.report.figures.intervals import mean_interval
from holdfast.report.figures.references import add_upright, constant
from holdfast.report.figures.style import (
    GRID,
    INK,
    LINE,
    Figure,
    Panel,
    bar,
    colour,
    inert,
    jitter,
    label,
    marks,
    note,
    reach,
    rows_layout,
)
from holdfast.report.rows import method_order, rows_of, troubles
from holdfast.wording import clean, count, decimals, level, points

_DOTS, _INTERVAL, _GAP = 26, 16, 14
"""Pixels below a row's label for the dots, below these for the interval, below that before the next row."""
_JITTER = 8
"""Most pixels a dot stands off the middle of its row."""
_JOINED = 10
"""Most seeds whose dots are joined across methods: more lines hide the dots."""


class _Dot(NamedTuple):
    seed: int
    score: float
    failed: bool
    y: float


def panels(summary: Summary) -> list[Panel]:
    """Return one strip a task that has at least one run with a score."""
    return [_panel(info, summary) for info in summary.tasks if any(row.n for row in rows_of(summary, info.task))]


def _panel(info: TaskInfo, summary: Summary) -> Panel:
    settings = summary.settings
    digits = decimals(settings.delta)
    order = method_order(summary)
    rows = rows_of(summary, info.task)
    data: list[Figure] = []
    labels: list[dict[str, Any]] = []
    strips: list[list[_Dot]] = []
    top = 0.0
    for row in rows:
        # A number stays with its noun where the label is broken.
        name, lines = label(", ".join([row.method, *(trouble.replace(" ", "\xa0") for trouble in troubles(row))]))
        labels.append(note(name, 0, top))
        middle = top + LINE * lines + _DOTS / 2
        below = middle + _DOTS / 2 + _INTERVAL / 2
        strips.append(_dots(row, settings, info, middle))
        data.append(_runs(row, strips[-1], order[row.method], digits))
        data += _means(row, strips[-1], order[row.method], info, settings, below)
        top = below + _INTERVAL / 2 + _GAP
    layout = rows_layout(top, f"{info.metric} in points")
    layout["annotations"] = labels
    add_upright(layout, reach(data, "x"), constant(info.constant_score), digits)
    if len(settings.seeds) <= _JOINED:
        data.insert(0, _joined(strips))
    title = f"{clean(info.task)}: {clean(info.metric)} of every run"
    return Panel(title, _alt(info, rows, digits), {"data": data, "layout": layout})


def _dots(row: Row, settings: Settings, info: TaskInfo, middle: float) -> list[_Dot]:
    """A failed run without a score stands at the constant prediction's."""
    dots = []
    for index, (seed, score) in enumerate(zip(settings.seeds, row.scores, strict=True)):
        failed = seed in row.failed_seeds
        if score is not None or failed:
            at = info.constant_score if score is None else score
            dots.append(_Dot(seed, at, failed, middle + jitter(index, _JITTER)))
    return dots


def _runs(row: Row, dots: list[_Dot], method: int, digits: int) -> Figure:
    text = [
        f"{inert(row.method)}<br>seed {dot.seed}: {points(dot.score, digits)}{', failed' if dot.failed else ''}"
        for dot in dots
    ]
    symbols = ["circle-open" if dot.failed else "circle" for dot in dots]
    marker = {"size": 9, "color": colour(method), "symbol": symbols, "line": {"width": 1.5, "color": colour(method)}}
    return marks("runs", method, [dot.score for dot in dots], [dot.y for dot in dots], text, marker, opacity=0.85)


def _means(row: Row, dots: list[_Dot], method: int, info: TaskInfo, settings: Settings, y: float) -> list[Figure]:
    """A tick with interval for the runs that trained, and a diamond for the mean that counts failed runs."""
    digits = decimals(settings.delta)
    trained = [dot.score for dot in dots if not dot.failed]
    between = mean_interval(trained, settings.alpha, info)
    traces = []
    if between is not None:
        mean, low, high = between
        text = f"mean{' of trained runs' if row.failed else ''} {points(mean, digits)}, "
        text += f"{level(settings.alpha)} interval {points(low, digits)} to {points(high, digits)}"
        tick = {"symbol": "line-ns", "size": 13, "color": INK, "line": {"width": 2.5, "color": INK}}
        traces.append(marks("mean", method, [mean], [y], [text], tick, error_x=bar(mean, low, high, INK)))
    if row.failed and row.mean is not None:
        text = f"mean, failed runs counted, {points(row.mean, digits)}"
        diamond = {"symbol": "diamond-open", "size": 9, "color": INK}
        traces.append(marks("mean with failed runs", method, [row.mean], [y], [text], diamond))
    return traces


def _joined(strips: list[list[_Dot]]) -> Figure:
    """The dots of one seed on neighbouring rows, joined."""
    x: list[float | None] = []
    y: list[float | None] = []
    for upper, lower in pairwise(strips):
        below = {dot.seed: dot for dot in lower}
        for start in upper:
            if start.seed in below:
                end = below[start.seed]
                x += [start.score, end.score, None]
                y += [start.y, end.y, None]
    trace: Figure = {"type": "scatter", "mode": "lines", "meta": {"kind": "same seed"}, "hoverinfo": "skip"}
    return {**trace, "x": x, "y": y, "line": {"width": 1, "color": GRID}}


def _alt(info: TaskInfo, rows: list[Row], digits: int) -> str:
    said = []
    for row in rows:
        runs = ", ".join([count(row.n, "run"), *troubles(row)])
        ends = f", {points(row.worst, digits)} to {points(row.best, digits)}, mean {points(row.mean, digits)}"
        said.append(f"{clean(row.method)}: {runs}{ends if row.mean is not None else ''}")
    return f"{clean(info.metric)} of every run on {clean(info.task)}, in points. " + ". ".join(said) + "."

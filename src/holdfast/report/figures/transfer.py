"""Scores on other tasks, out of domain or by linear probes: one panel a target, one row a method, a dot a run."""

from typing import Literal

from holdfast.records.summary import Summary, Target, TaskInfo, TransferRow
from holdfast.report.figures.references import add_upright, constant, pretrained
from holdfast.report.figures.style import (
    INK,
    LINE,
    Figure,
    Panel,
    colour,
    inert,
    jitter,
    label,
    marks,
    note,
    reach,
    rows_layout,
)
from holdfast.report.rows import method_order, transfer_rows
from holdfast.wording import clean, count, decimals, points

_DOTS, _GAP = 26, 10
"""Pixels below a row's label for the dots, and below these before the next row."""
_JITTER = 6
"""Most pixels a dot stands off the middle of its row."""
_WHAT = {"ood": "out of domain", "probe": "linear probes"}


def panels(summary: Summary, kind: Literal["ood", "probe"]) -> list[Panel]:
    """Return one panel for each task and target of ``kind`` on which a run has a score."""
    drawn = []
    for info in summary.tasks:
        for target in info.targets:
            rows = [row for row in transfer_rows(summary, info.task, kind, target.name) if row.n]
            drawn += [_panel(info, target, rows, summary)] if target.kind == kind and rows else []
    return drawn


def _panel(info: TaskInfo, target: Target, rows: list[TransferRow], summary: Summary) -> Panel:
    digits = decimals(summary.settings.delta)
    order = method_order(summary)
    data: list[Figure] = []
    labels = []
    top = 0.0
    for row in rows:
        name, lines = label(row.method)
        labels.append(note(name, 0, top))
        middle = top + LINE * lines + _DOTS / 2
        data.append(_runs(row, summary.settings.seeds, order[row.method], middle, digits))
        if row.mean is not None and row.n > 1:
            text = f"{inert(row.method)}<br>mean {points(row.mean, digits)}"
            tick = {"symbol": "line-ns", "size": 22, "color": INK, "line": {"width": 2.5, "color": INK}}
            data.append(marks("mean", order[row.method], [row.mean], [middle], [text], tick))
        top = middle + _DOTS / 2 + _GAP
    layout = rows_layout(top, f"{target.metric} in points")
    layout["annotations"] = labels
    start = next((row.reference for row in rows if row.reference is not None), None)
    references = constant(target.constant_score) + pretrained(start)
    add_upright(layout, reach(data, "x"), references, digits)
    title = f"{clean(info.task)} → {clean(target.name)}: {clean(target.metric)}, {_WHAT[target.kind]}"
    said = [f"{clean(row.method)}: {_said(row, digits)}." for row in rows]
    said += [f"{one.name}: {points(one.score, digits)}." for one in references]
    return Panel(title, f"{title}, in points. {' '.join(said)}", {"data": data, "layout": layout})


def _runs(row: TransferRow, seeds: list[int], method: int, middle: float, digits: int) -> Figure:
    dots = [
        (score, middle + jitter(index, _JITTER), f"{inert(row.method)}<br>seed {seed}: {points(score, digits)}")
        for index, (seed, score) in enumerate(zip(seeds, row.scores, strict=True))
        if score is not None
    ]
    x, y, text = (list(column) for column in zip(*dots, strict=True))
    return marks("runs", method, x, y, text, {"size": 9, "color": colour(method)}, opacity=0.85)


def _said(row: TransferRow, digits: int) -> str:
    scores = [score for score in row.scores if score is not None]
    ends = f"{points(min(scores), digits)} to {points(max(scores), digits)}, " if len(scores) > 1 else ""
    return f"{count(row.n, 'run')}, {ends}mean {points(row.mean, digits)}, {row.verdict}"

"""The tuned models' layers against the pre-trained one's: a panel a task and measure, a line a method."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from holdfast.records.summary import Representation, Summary
from holdfast.report.figures.curves import marked_line
from holdfast.report.figures.style import MUTED, Figure, Panel, frame, inert, with_data
from holdfast.report.rows import layers_of, method_order
from holdfast.wording import clean


class _Measure(NamedTuple):
    title: str
    axis: str
    field: str
    start: str
    """Field of the pre-trained model's own value; empty where it has none."""
    zero: bool
    """Whether the axis starts at zero."""


_MEASURES = (
    _Measure("CKA with the pre-trained model", "CKA", "cka", "", False),
    _Measure("effective rank", "effective rank", "effective_rank", "effective_rank_start", True),
    _Measure("mean cosine", "mean cosine", "mean_cosine", "mean_cosine_start", False),
    _Measure("distance of the weights", "distance", "weight_distance", "", True),
)


def panels(summary: Summary) -> list[Panel]:
    """Return a panel for each task and measure that a method has a value of."""
    drawn = []
    for info in summary.tasks:
        layers = layers_of(summary, info.task)
        drawn += [_panel(info.task, measure, layers, summary) for measure in _MEASURES if layers]
    return with_data(drawn)


def _panel(task: str, measure: _Measure, layers: Mapping[str, Sequence[Representation]], summary: Summary) -> Panel:
    title = f"{clean(task)}: {measure.title}"
    lines, said = [], []
    for method, index in method_order(summary).items():
        curve = _curve(layers.get(method, ()), measure.field)
        if curve:
            text = [f"{inert(method)}<br>layer {layer:g}: {value:.3g}" for layer, value in curve]
            lines.append(marked_line("mean", index, curve, text))
            said.append(f"{clean(method)}: {_ends(curve)}.")
    data = lines
    start = _curve(next(iter(layers.values())), measure.start) if measure.start and lines else []
    if start:
        data = [_start(start), *lines]
        said.append(f"Pre-trained model: {_ends(start)}.")
    layout = frame(220, "layer (0: embeddings)", measure.axis, left=64)
    if measure.zero:
        layout["yaxis"]["rangemode"] = "tozero"
    layout["xaxis"]["dtick"] = max(1, max(len(rows) for rows in layers.values()) // 12)
    note = "Dashed grey: the pre-trained model." if start else ""
    return Panel(title, f"{title}, layer by layer. {' '.join(said)}", {"data": data, "layout": layout}, note)


def _curve(rows: Sequence[Representation], field: str) -> list[tuple[float, float]]:
    return [(row.layer, value) for row in rows if (value := getattr(row, field)) is not None]


def _start(curve: Sequence[tuple[float, float]]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "meta": {"kind": "pre-trained"},
        "name": "pre-trained model",
        "x": [layer for layer, _ in curve],
        "y": [value for _, value in curve],
        "line": {"color": MUTED, "width": 2, "dash": "dash"},
        "hoverinfo": "x+y+name",
    }


def _ends(curve: Sequence[tuple[float, float]]) -> str:
    return f"{curve[0][1]:.3g} in layer {curve[0][0]:g}, {curve[-1][1]:.3g} in layer {curve[-1][0]:g}"

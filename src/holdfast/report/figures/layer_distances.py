"""How far the runs of each method lie apart, layer by layer: a panel a task and distance."""

from collections.abc import Sequence

from holdfast.records.summary import InstabilityRow, LayerInstability, Summary
from holdfast.report.figures.style import Figure, Panel, colour, frame, inert, symbol
from holdfast.report.rows import instability_rows, method_order
from holdfast.wording import clean

_DISTANCES = {"cka": "CKA", "svcca": "SVCCA", "procrustes": "Procrustes"}
_VARIED = {"seed": "seeds varied", "data": "training rows varied"}


def panels(summary: Summary) -> list[Panel]:
    """Return three panels for each task on which a method has two runs whose layers can be compared."""
    drawn = []
    for info in summary.tasks:
        rows = [
            row for row in instability_rows(summary, info.task) if any(layer.cka is not None for layer in row.layers)
        ]
        drawn += [_panel(info.task, name, rows, summary) for name in _DISTANCES if rows]
    return drawn


def _panel(task: str, name: str, rows: Sequence[InstabilityRow], summary: Summary) -> Panel:
    order = method_order(summary)
    title = f"{clean(task)}: {_DISTANCES[name]} distance between runs"
    data, said = [], []
    for row in rows:
        line = [(layer.layer, distance) for layer in row.layers if (distance := _distance(layer, name)) is not None]
        data.append(_line(row, line, order[row.method]))
        ends = f"{line[0][1]:.2g} in layer {line[0][0]}, {line[-1][1]:.2g} in layer {line[-1][0]}"
        said.append(f"{clean(row.method)}, {_VARIED[row.varied]}: {ends}.")
    layout = frame(220, "layer (0: embeddings)", f"{_DISTANCES[name]} distance", left=64)
    layout["yaxis"]["rangemode"] = "tozero"
    layout["xaxis"]["dtick"] = max(1, max(len(row.layers) for row in rows) // 12)
    absent = any(_distance(layer, name) is None for row in rows for layer in row.layers)
    note = "A layer that is the same for every row has no point. " if absent else ""
    note += "Dotted, open: training rows varied, not seeds." if any(row.varied == "data" for row in rows) else ""
    return Panel(title, f"{title}, layer by layer. " + " ".join(said), {"data": data, "layout": layout}, note.strip())


def _distance(layer: LayerInstability, name: str) -> float | None:
    return {"cka": layer.cka, "svcca": layer.svcca, "procrustes": layer.procrustes}[name]


def _line(row: InstabilityRow, line: Sequence[tuple[int, float]], method: int) -> Figure:
    seeds = row.varied == "seed"
    text = [f"{inert(row.method)}, {_VARIED[row.varied]}<br>layer {layer}: {distance:.3g}" for layer, distance in line]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "meta": {"kind": f"{row.varied} distances", "method": method},
        "x": [layer for layer, _ in line],
        "y": [float(f"{distance:.5g}") for _, distance in line],
        "line": {"color": colour(method), "width": 2, "dash": "solid" if seeds else "dot"},
        "marker": {"color": colour(method), "size": 8, "symbol": symbol(method) + ("" if seeds else "-open")},
        "hoverinfo": "text",
        "text": text,
    }

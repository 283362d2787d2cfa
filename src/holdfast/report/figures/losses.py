"""How the losses fell: the task's loss and each penalty, the mean over seeds and every seed."""

import math
from collections import defaultdict
from collections.abc import Sequence

from holdfast.report.figures.style import Figure, Panel, colour, dash, frame, inert
from holdfast.report.table import method_order
from holdfast.report.text import clean
from holdfast.study.summary import Summary
from holdfast.training.spec import RunRecord

_BUDGET = 60_000
"""Points of single-seed lines on a page: browsers draw as many without delay."""
_LEAST, _MOST = 20, 200
"""Points of a line, whatever the budget."""
_TASK = "loss/task"

Curve = list[tuple[float, float | None]]
"""Step and value, None where the value was not finite."""


def panels(summary: Summary, records: Sequence[RunRecord]) -> list[Panel]:
    """Return one panel a task and logged term, from the runs that finished; none without logged losses."""
    curves: dict[tuple[str, str], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda record: (record.spec.seed, record.id)):
        for term, curve in _curves(record).items() if record.status == "finished" else ():
            curves[record.task_name, term][record.spec.method].append(curve)
    lines = sum(len(runs) for methods in curves.values() for runs in methods.values())
    most = min(_MOST, max(_LEAST, _BUDGET // max(lines, 1)))
    found = []
    for info in summary.tasks:
        terms = sorted((term for task, term in curves if task == info.task), key=lambda term: (term != _TASK, term))
        found += [_panel(info.task, term, curves[info.task, term], summary, most) for term in terms]
    return [panel for panel in found if panel.figure["data"] or panel.note]


def _curves(record: RunRecord) -> dict[str, Curve]:
    curves: dict[str, dict[float, float | None]] = defaultdict(dict)
    for entry in record.losses:
        split = any(key.startswith("loss/") for key in entry)
        for key, value in entry.items():
            # Without terms of its own a run logs the task's loss only as the whole.
            term = _TASK if key == "loss" and not split else key
            if term.startswith("loss/") and "step" in entry:
                curves[term][entry["step"]] = value if math.isfinite(value) else None
    return {term: sorted(values.items()) for term, values in curves.items()}


def _panel(task: str, term: str, methods: dict[str, list[Curve]], summary: Summary, most: int) -> Panel:
    penalty = term != _TASK
    name = f"{clean(term.removeprefix('loss/'))} penalty" if penalty else "task loss"
    single: list[Figure] = []
    means: list[Figure] = []
    said = [f"{name} over the optimizer steps on {clean(task)}."]
    silent = []
    thinned = False
    for method, index in method_order(summary).items():
        runs = [_drawable(run, penalty) for run in methods.get(method, [])]
        if not any(value is not None for run in runs for _, value in run):
            silent += [clean(method)] if runs else []
            continue
        thinned |= any(len(run) > most for run in runs)
        if len(runs) > 1:
            chained = _chained([_thin(run, most) for run in runs])
            single.append(_line("single runs", index, chained, "", width=1, opacity=0.3 if len(runs) <= 10 else 0.12))
        mean = _thin(_drawable(_mean(methods[method]), penalty), most)
        means.append(_line("mean", index, mean, f"{inert(method)}{' (mean)' if len(runs) > 1 else ''}", width=2.5))
        values = [value for _, value in mean if value is not None]
        said += [f"{clean(method)}: from {values[0]:.3g} to {values[-1]:.3g}."] if values else []
    data = single + means
    layout = frame(220, "optimizer step", name, left=64)
    if penalty:
        ticks = {"dtick": 1, "exponentformat": "power"} if _decades(data) > 1.5 else {"dtick": "D2", "tickformat": "~e"}
        layout["yaxis"] |= {"type": "log", **ticks}
    note = f"Zero or not finite throughout, so not drawn: {', '.join(silent)}. " if silent else ""
    note += f"At most {most} of the logged steps of a line are drawn." if thinned else ""
    return Panel(f"{clean(task)}: {name}", " ".join(said), {"data": data, "layout": layout}, note.strip())


def _mean(runs: list[Curve]) -> Curve:
    """The mean at the steps that every run logged: elsewhere it would jump with the runs that take part."""
    values: dict[float, list[float | None]] = defaultdict(list)
    for run in runs:
        for step, value in run:
            values[step].append(value)
    mean: Curve = []
    for step, found in sorted(values.items()):
        finite = [value for value in found if value is not None]
        if len(found) == len(runs):
            mean.append((step, math.fsum(finite) / len(finite) if len(finite) == len(runs) else None))
    return mean


def _drawable(curve: Curve, penalty: bool) -> Curve:
    """A logarithmic axis has no place for zero."""
    return [(step, None if value is None or (penalty and value <= 0) else value) for step, value in curve]


def _thin(curve: Curve, most: int) -> Curve:
    if len(curve) <= most:
        return curve
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


def _chained(runs: list[Curve]) -> Curve:
    """All runs as one line with gaps: a trace a run would slow the page down."""
    return [point for run in runs if run for point in (*run, (run[-1][0], None))]


def _decades(data: list[Figure]) -> float:
    values = [value for trace in data for value in trace["y"] if value is not None]
    return math.log10(max(values) / min(values)) if values else 0.0


def _line(kind: str, method: int, curve: Curve, name: str, width: float, opacity: float = 1.0) -> Figure:
    values = [None if value is None else float(f"{value:.5g}") for _, value in curve]
    alone = sum(value is not None for value in values) == 1
    return {
        "type": "scatter",
        "mode": "markers" if alone else "lines",
        "meta": {"kind": kind, "method": method},
        "name": name,
        "x": [step for step, _ in curve],
        "y": values,
        "line": {"color": colour(method), "dash": dash(method), "width": width},
        "marker": {"color": colour(method)},
        "opacity": opacity,
        "hoverinfo": "x+y+name" if kind == "mean" else "skip",
    }

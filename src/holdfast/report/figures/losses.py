"""How the losses fell: the task's loss and each penalty, the mean over seeds and every seed."""

import math
from collections import defaultdict
from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.figures.curves import Curve, faint, line, mean_curve, most_points, thin
from holdfast.report.figures.style import Figure, Panel, frame, inert
from holdfast.report.rows import method_order, task_of
from holdfast.wording import clean

_TASK = "loss/task"


def panels(summary: Summary, records: Sequence[RunRecord]) -> list[Panel]:
    """Return one panel a task and logged term, from the runs that finished; none without logged losses."""
    curves: dict[tuple[str | None, str], dict[str, list[Curve]]] = defaultdict(lambda: defaultdict(list))
    for record in sorted(records, key=lambda record: (record.spec.seed, record.id)):
        for term, curve in _curves(record).items() if record.status == "finished" else ():
            curves[task_of(record, summary), term][record.spec.method].append(curve)
    lines = sum(len(runs) for methods in curves.values() for runs in methods.values())
    most = most_points(lines)
    drawn = []
    for info in summary.tasks:
        terms = sorted((term for task, term in curves if task == info.task), key=lambda term: (term != _TASK, term))
        drawn += [_panel(info.task, term, curves[info.task, term], summary, most) for term in terms]
    return [panel for panel in drawn if panel.figure["data"] or panel.note]


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
            single.append(faint(index, [thin(run, most) for run in runs]))
        mean = thin(_drawable(mean_curve(methods[method]), penalty), most)
        means.append(line("mean", index, mean, f"{inert(method)}{' (mean)' if len(runs) > 1 else ''}"))
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


def _drawable(curve: Curve, penalty: bool) -> Curve:
    """A logarithmic axis has no place for zero."""
    return [(step, None if value is None or (penalty and value <= 0) else value) for step, value in curve]


def _decades(data: list[Figure]) -> float:
    values = [value for trace in data for value in trace["y"] if value is not None]
    return math.log10(max(values) / min(values)) if values else 0.0

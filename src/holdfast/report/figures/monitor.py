"""The last layer during training: what the monitor saw at each step, the mean over seeds and every seed."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.figures.curves import Curve, faint, line, mean_curve, most_points, thin
from holdfast.report.figures.style import Figure, Panel, frame, inert, with_data
from holdfast.report.rows import method_order, task_of
from holdfast.wording import clean

_MEASURES = {
    "cka": "CKA",
    "effective_rank": "effective rank",
    "mean_cosine": "mean cosine",
    "distance": "distance",
}


def panels(summary: Summary, records: Sequence[RunRecord]) -> list[Panel]:
    """Return a panel for each task and measure, from the runs that finished; none where none was monitored."""
    watched = [record for record in records if record.status == "finished" and record.monitored]
    watched.sort(key=lambda record: (record.spec.seed, record.id))
    most = most_points(len(watched) * len(_MEASURES))
    drawn = []
    for info in summary.tasks:
        own = [record for record in watched if task_of(record, summary) == info.task]
        for field, name in _MEASURES.items():
            runs: dict[str, list[Curve]] = {}
            for record in own:
                seen: Curve = [(look.step, getattr(look, field)) for look in record.monitored]
                runs.setdefault(record.spec.method, []).append(thin(seen, most))
            drawn.append(_panel(info.task, name, runs, summary))
    return with_data(drawn)


def _panel(task: str, name: str, methods: Mapping[str, Sequence[Curve]], summary: Summary) -> Panel:
    single: list[Figure] = []
    means: list[Figure] = []
    title = f"{clean(task)}: {name} during training"
    said = [f"{title}: the last layer on the monitor's rows, CKA and distance from the pre-trained model."]
    for method, index in method_order(summary).items():
        runs = [run for run in methods.get(method, ()) if any(value is not None for _, value in run)]
        if not runs:
            continue
        if len(runs) > 1:
            single.append(faint(index, runs))
        mean = mean_curve(runs)
        means.append(line("mean", index, mean, f"{inert(method)}{' (mean)' if len(runs) > 1 else ''}"))
        known = [(step, value) for step, value in mean if value is not None]
        if known:
            (first, before), (last, after) = known[0], known[-1]
            said.append(f"{clean(method)}: {before:.3g} at step {first:g}, {after:.3g} at step {last:g}.")
    layout = frame(220, "optimizer step", name, left=64)
    return Panel(title, " ".join(said), {"data": single + means, "layout": layout})

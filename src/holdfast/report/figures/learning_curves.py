"""Scores against the number of training rows: a panel for the task itself and one for each other target."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from holdfast.records.summary import Row, Summary, TaskInfo, TransferRow
from holdfast.report.figures.curves import Curve, marked_line
from holdfast.report.figures.references import Reference, add_level, constant, pretrained
from holdfast.report.figures.style import Figure, Panel, colour, frame, inert, marks, with_data
from holdfast.report.rows import KINDS, by_base, method_order, reference, rows_of, targets_of, transfer_rows
from holdfast.wording import clean, count, decimals, points

_APART = 0.012
"""Decades between the runs of two methods, which would hide each other at the same number of rows."""


class _Sized(NamedTuple):
    """A method's result with so many training rows."""

    rows: int
    result: Row | TransferRow


def panels(summary: Summary) -> list[Panel]:
    """Return the learning curves of each task that was trained on several numbers of rows."""
    drawn = []
    for base, infos in by_base(summary).items():
        if len(infos) < 2:
            continue
        own = [_Sized(info.train_rows, row) for info in infos for row in rows_of(summary, info.task)]
        metric = infos[0].metric
        title = f"{clean(base)}: {clean(metric)} against training rows"
        drawn.append(_panel(title, metric, infos, own, constant(infos[0].constant_score), summary))
        for target in targets_of(infos):
            others = [
                _Sized(info.train_rows, row)
                for info in infos
                for row in transfer_rows(summary, info.task, target.kind, target.name)
            ]
            title = f"{clean(base)} → {clean(target.name)}, {KINDS[target.kind]}: {clean(target.metric)}"
            references = constant(target.constant_score) + pretrained(reference(infos, target, summary))
            drawn.append(_panel(title, target.metric, infos, others, references, summary))
    return with_data(drawn)


def _panel(
    title: str,
    metric: str,
    infos: Sequence[TaskInfo],
    results: Sequence[_Sized],
    references: list[Reference],
    summary: Summary,
) -> Panel:
    digits = decimals(summary.settings.delta)
    order = method_order(summary)
    runs: list[Figure] = []
    means: list[Figure] = []
    said = [f"{title}, in points."]
    for method, index in order.items():
        own = [one for one in results if one.result.method == method]
        curve: Curve = [(one.rows, one.result.mean) for one in own]
        known = [(rows, mean) for rows, mean in curve if mean is not None]
        if not known:
            continue
        runs.append(_runs(own, index, (index - (len(order) - 1) / 2) * _APART, summary))
        text = [f"{inert(method)}<br>{count(int(rows), 'row')}: {points(mean, digits)}" for rows, mean in curve]
        means.append(marked_line("mean", index, curve, text))
        scores_at = ", ".join(f"{points(mean, digits)} with {count(int(rows), 'row')}" for rows, mean in known)
        said.append(f"{clean(method)}: {scores_at}.")
    said += [f"{one.name}: {points(one.score, digits)}." for one in references]
    layout = frame(260, "training rows, logarithmic", metric)
    sizes = [info.train_rows for info in infos]
    edge = max(0.06 * math.log10(max(sizes) / min(sizes)), 0.05)
    ends = [math.log10(min(sizes)) - edge, math.log10(max(sizes)) + edge]
    layout["xaxis"] |= {"type": "log", "range": ends, "tickvals": sizes, "ticktext": [str(size) for size in sizes]}
    scores = [score for one in results for score in one.result.scores if score is not None]
    add_level(layout, scores, references, digits)
    return Panel(title, " ".join(said), {"data": runs + means, "layout": layout})


def _runs(own: Sequence[_Sized], index: int, shift: float, summary: Summary) -> Figure:
    digits = decimals(summary.settings.delta)
    x, y, text = [], [], []
    for one in own:
        for seed, score in zip(summary.settings.seeds, one.result.scores, strict=True):
            if score is not None:
                x.append(float(f"{one.rows * 10**shift:.5g}"))
                y.append(score)
                rows = count(one.rows, "row")
                text.append(f"{inert(one.result.method)}<br>{rows}, seed {seed}: {points(score, digits)}")
    return marks("runs", index, x, y, text, {"size": 6, "color": colour(index)}, opacity=0.45)

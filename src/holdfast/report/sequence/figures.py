"""Probes along a sequence: one panel a probed task, a line a method."""

from holdfast.records.summary import SequenceSummary
from holdfast.report.figures.curves import Curve, faint, marked_line
from holdfast.report.figures.references import add_level, constant, pretrained
from holdfast.report.figures.style import Figure, Panel, frame, inert, with_data
from holdfast.report.rows import method_order
from holdfast.report.sequence.tables import ProbePoint, constant_of, metric_of, probe, probe_points, targets
from holdfast.wording import clean, decimals, points


def panels(summary: SequenceSummary) -> list[Panel]:
    """Return a panel for each task of which some probe has a score."""
    return with_data(_panel(target, probe_points(summary, target), summary) for target in targets(summary))


def _panel(target: str, positions: list[ProbePoint], summary: SequenceSummary) -> Panel:
    digits = decimals(summary.settings.delta)
    single: list[Figure] = []
    means: list[Figure] = []
    when = "after each stage" if summary.protocol == "chain" else "before its own turn"
    title = f"{target} probed {when}"
    said = [f"{title}, {metric_of(summary, target)} in points."]
    for method, index in method_order(summary).items():
        rows = [probe(summary, target, method, place.stage) for place in positions]
        mean: Curve = [(place.at, row.mean if row else None) for place, row in zip(positions, rows, strict=True)]
        if all(score is None for _, score in mean):
            continue
        runs = [_run(seed, method, target, positions, summary) for seed in range(len(summary.settings.seeds))]
        if len(runs) > 1:
            single.append(faint(index, runs))
        named = list(zip(positions, mean, strict=True))
        text = [f"{inert(method)}<br>{inert(place.name)}: {points(score, digits)}" for place, (_, score) in named]
        means.append(marked_line("mean", index, mean, text))
        scores_at = ", ".join(f"{place.name} {points(score, digits)}" for place, (_, score) in named)
        said.append(f"{clean(method)}: {scores_at}.")
    start = probe(summary, target, "", 0)
    references = constant(constant_of(summary, target)) + pretrained(start.mean if start else None)
    said += [f"{one.name}: {points(one.score, digits)}." for one in references]
    layout = frame(280, "" if summary.protocol == "chain" else "cycle", metric_of(summary, target))
    names = [inert(place.name).replace(" ", "<br>", 1) for place in positions]
    shown = names if summary.protocol == "chain" else [str(place.at) for place in positions]
    edges = [positions[0].at - 0.25, positions[-1].at + 0.25]
    layout["xaxis"] |= {"tickvals": [place.at for place in positions], "ticktext": shown, "range": edges}
    if summary.protocol == "chain":
        # Two lines of ticks and no title.
        layout["margin"]["b"] += 16
        layout["height"] += 16
    scores = [score for trace in single + means for score in trace["y"] if score is not None]
    add_level(layout, scores, references, digits)
    return Panel(title, " ".join(said), {"data": single + means, "layout": layout})


def _run(seed: int, method: str, target: str, positions: list[ProbePoint], summary: SequenceSummary) -> Curve:
    """One seed's scores; they all begin with the pre-trained model's mean."""
    curve: Curve = []
    for place in positions:
        row = probe(summary, target, method, place.stage)
        score = None if row is None else row.mean if place.stage == 0 else row.scores[seed]
        curve.append((place.at, score))
    return curve

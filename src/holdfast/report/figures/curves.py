"""Lines over optimizer steps or stages: the mean over runs strong, single runs faint."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from holdfast.report.figures.style import Figure, colour, dash, symbol

_BUDGET = 60_000
"""Points of single-seed lines on a page: browsers draw as many without delay."""
_LEAST, _MOST = 20, 200
"""Points of a line, whatever the budget."""

Curve = list[tuple[float, float | None]]
"""Where and what, None where there is no finite value."""

Points = Sequence[tuple[float, float | None]]
"""A curve to be drawn as it is."""


def most_points(lines: int) -> int:
    """Return how many points each of ``lines`` lines on a page may have."""
    return min(_MOST, max(_LEAST, _BUDGET // max(lines, 1)))


def mean_curve(runs: Sequence[Curve]) -> Curve:
    """Return the mean where every run has a point: elsewhere it would jump with the runs that take part."""
    values: dict[float, list[float | None]] = defaultdict(list)
    for run in runs:
        for at, value in run:
            values[at].append(value)
    mean: Curve = []
    for at, at_step in sorted(values.items()):
        finite = [value for value in at_step if value is not None]
        if len(at_step) == len(runs):
            mean.append((at, math.fsum(finite) / len(finite) if len(finite) == len(runs) else None))
    return mean


def thin(curve: Curve, most: int) -> Curve:
    """Return at most ``most`` points of ``curve``, the first and the last among them."""
    if len(curve) <= most:
        return curve
    return [curve[round(i * (len(curve) - 1) / (most - 1))] for i in range(most)]


def chained(runs: Iterable[Curve]) -> Curve:
    """Return all runs as one line with gaps: a trace a run would slow the page down."""
    return [point for run in runs if run for point in (*run, (run[-1][0], None))]


def faint(method: int, runs: Sequence[Curve]) -> Figure:
    """Return the trace of a method's single runs."""
    opacity = 0.3 if len(runs) <= 10 else 0.12
    return line("single runs", method, chained(runs), "", width=1, opacity=opacity)


def line(
    kind: str,
    method: int,
    curve: Points,
    name: str,
    width: float = 2.5,
    opacity: float = 1.0,
) -> Figure:
    """Return the trace of a curve; ``name`` is shown with its points, unless they are single runs'."""
    values = [None if value is None else float(f"{value:.5g}") for _, value in curve]
    alone = sum(value is not None for value in values) == 1
    return {
        "type": "scatter",
        "mode": "markers" if alone else "lines",
        "meta": {"kind": kind, "method": method},
        "name": name,
        "x": [at for at, _ in curve],
        "y": values,
        "line": {"color": colour(method), "dash": dash(method), "width": width},
        "marker": {"color": colour(method)},
        "opacity": opacity,
        "hoverinfo": "x+y+name" if kind == "mean" else "skip",
    }


def marked_line(kind: str, method: int, curve: Points, text: list[str]) -> Figure:
    """Return the trace of a curve with few points, each marked and with ``text`` of its own."""
    marker = {"color": colour(method), "size": 9, "symbol": symbol(method)}
    more = {"mode": "lines+markers", "marker": marker, "hoverinfo": "text", "text": text}
    return {**line(kind, method, curve, ""), **more}

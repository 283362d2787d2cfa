"""The figures of a synthetic study."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from holdfast.report.figures.style import MUTED, Figure, Panel, colour, frame, marks, symbol
from holdfast.report.synthetic.findings import looseness
from holdfast.report.synthetic.numbers import NAMES, find, number, rho, slope
from holdfast.stability.simulations import FEW_STEPS, Simulations, Sweep
from holdfast.stability.synthetic import FACTORS, SyntheticSet, SyntheticStudy
from holdfast.wording import count

_HEIGHT = 240
_LEGEND = 24
"""Pixels for its line above the plot."""


def factor_panels(study: SyntheticStudy, measure: str) -> list[Panel]:
    """Return a measure against each factor, one point a set."""
    y = [float(getattr(one, measure)) for one in study.sets]
    panels = []
    for factor in FACTORS:
        x = [float(getattr(one, factor)) for one in study.sets]
        said = (
            f"ρ {rho(find(study, factor, measure, held=False))}; "
            f"others held constant {rho(find(study, factor, measure, held=True))}"
        )
        title = f"{NAMES[measure].capitalize()} and {NAMES[factor]}"
        shown = "learning rate, share of the largest" if factor == "learning_rate_share" else NAMES[factor]
        traces = [_points(study.sets, x, y, 0, "")]
        if (factor, measure) == ("heads", "seed_spread"):
            few = min(x)
            start = statistics.median(value for value, heads in zip(y, x, strict=True) if heads == few)
            ends = sorted(set(x))
            traces.append(_line(ends, [start * (few / heads) ** 0.5 for heads in ends], "1/√H from the median", "dot"))
        panels.append(_panel(title, said, traces, shown, NAMES[measure]))
    return panels


def bound_panels(study: SyntheticStudy) -> list[Panel]:
    """Return the bound beside the measurement, with shared and with each set's own constants."""
    x = [one.leave_one_out for one in study.sets]
    panels = []
    for index, (bound, y) in enumerate(
        (("shared_bound", list(study.shared_bounds)), ("bound", [one.bound for one in study.sets]))
    ):
        said = f"ρ {rho(find(study, bound, 'leave_one_out', held=False))}; the dotted line is 2, the largest distance"
        if bound == "bound":
            said += f"; at the median the bound is {number(looseness(study))} times the measured distance"
        title = NAMES[bound].capitalize()
        ends = [min(x), max(x)]
        traces = [
            _points(study.sets, x, y, index, ""),
            _line(ends, [2.0, 2.0], "largest distance", "dot"),
        ]
        panels.append(
            Panel(title, f"{title}: {said}.", _figure(traces, "measured leave-one-out distance", "bound"), said)
        )
    return panels


def simulation_panels(simulations: Simulations) -> list[Panel]:
    """Return one thing varied at a time: full tuning, heads, and head tuning against n, distance and steps."""
    s = simulations
    inverse = [s.quadratics.means[0] * s.quadratics.values[0] / n for n in s.quadratics.values]
    root = [s.heads_sum.means[0] * (s.heads_sum.values[0] / h) ** 0.5 for h in s.heads_sum.values]
    repeated = f"means of {count(len(s.quadratics.measured), 'repetition')}, faint: each"
    return [
        _panel(
            "Full tuning of quadratics",
            f"{repeated}; measured slope {slope(s.quadratics.slope)}.",
            [
                *_sweep(s.quadratics, 0, "measured"),
                _line(s.quadratics.values, inverse, "1/n", "dot"),
                _line(s.quadratics.values, s.quadratic_bounds, "bound", "dash", 1),
            ],
            "examples n",
            "leave-one-out distance",
        ),
        _panel(
            "Seed spread of the mean of H heads",
            f"{repeated}; after {FEW_STEPS} steps; slope with the sum {slope(s.heads_sum.slope)}, with the mean "
            f"{slope(s.heads_mean.slope)}.",
            [
                *_sweep(s.heads_sum, 0, "sum of losses"),
                *_sweep(s.heads_mean, 1, "mean of losses"),
                _line(s.heads_sum.values, root, "1/√H", "dot"),
            ],
            "heads H",
            "seed spread",
        ),
        _panel(
            "Head tuning and sample size",
            f"{repeated}; slope {slope(s.rows.slope)}.",
            _sweep(s.rows, 0, ""),
            "sample size n",
            "leave-one-out distance",
        ),
        _panel(
            "Head tuning and the distance of the class centres",
            f"{repeated}; slope {slope(s.centre_distance.slope)}.",
            _sweep(s.centre_distance, 0, ""),
            "distance of the centres",
            "leave-one-out distance",
        ),
        _panel(
            "Head tuning and steps",
            f"{repeated}; slope with a wide gap {slope(s.steps_clear.slope)}, with next to none "
            f"{slope(s.steps_noisy.slope)}.",
            [*_sweep(s.steps_clear, 0, "wide gap"), *_sweep(s.steps_noisy, 1, "next to no gap")],
            "steps of gradient descent",
            "leave-one-out distance",
        ),
    ]


def _panel(title: str, said: str, traces: list[Figure], x_title: str, y_title: str) -> Panel:
    return Panel(title, f"{title}: {said}", _figure(traces, x_title, y_title), said)


def _figure(traces: list[Figure], x_title: str, y_title: str) -> Figure:
    layout = frame(_HEIGHT, x_title, y_title, left=64)
    for axis in ("x", "y"):
        ticks = log_ticks([value for trace in traces for value in trace[axis]])
        shown = {"tickvals": ticks, "ticktext": [_tick(tick) for tick in ticks]}
        layout[f"{axis}axis"] |= {"type": "log", "autorange": True, **shown}
    if any(trace["showlegend"] for trace in traces):
        layout["margin"]["t"] += _LEGEND
        layout["height"] += _LEGEND
        layout |= {"showlegend": True, "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"}}
    return {"data": traces, "layout": layout}


def log_ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers for a logarithmic axis that holds ``values``, at most about eight.

    Plotly's own choice writes 2 for 0.002 and 20 alike.
    """
    positive = [value for value in values if value > 0]
    low, high = math.log10(min(positive)), math.log10(max(positive))
    decades = range(math.floor(low), math.ceil(high) + 1)
    if high - low > 2.5:
        every = math.ceil((high - low) / 7)
        return [10.0**decade for decade in decades if decade % every == 0]
    steps = (1, 2, 5) if high - low > 0.8 else (1, 1.5, 2, 3, 4, 5, 7)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    # A little beyond the ends, as the axis reaches beyond them too.
    return [tick for tick in ticks if low - 0.1 <= math.log10(tick) <= high + 0.1]


def _tick(value: float) -> str:
    return f"{value:.0e}".replace("e+0", "e") if value >= 1e5 else f"{value:,.6g}".replace(",", " ")


def _points(sets: Sequence[SyntheticSet], x: list[float], y: list[float], index: int, name: str) -> Figure:
    marker = {"size": 6, "opacity": 0.5, "color": colour(index), "symbol": symbol(index)}
    text = [
        f"set {one.draw}: {number(a)}, {number(b)}<br>n {one.n}, dimension {one.dimension}, steps {one.steps}, "
        f"heads {one.heads}"
        for one, a, b in zip(sets, x, y, strict=True)
    ]
    return marks("set", index, x, y, text, marker, **_named(name))


def _sweep(sweep: Sweep, index: int, name: str) -> list[Figure]:
    """Return each repetition, faint, and the mean over them."""
    x = list(sweep.values)
    faint = {"size": 4, "opacity": 0.3, "color": colour(index), "symbol": symbol(index)}
    across = x * len(sweep.measured)
    values = [value for line in sweep.measured for value in line]
    strong = {"size": 9, "color": colour(index), "symbol": symbol(index)}
    text = [f"{number(a)}: {number(b)}" for a, b in zip(x, sweep.means, strict=True)]
    line = {"color": colour(index), "width": 1.5}
    return [
        marks("repetition", index, across, values, [number(value) for value in values], faint, **_named("")),
        marks("mean", index, x, sweep.means, text, strong, **_named(name) | {"mode": "lines+markers", "line": line}),
    ]


def _line(x: Sequence[float], y: Sequence[float], name: str, dash: str, index: int | None = None) -> Figure:
    shade = MUTED if index is None else colour(index)
    line = {"color": shade, "width": 1.5, "dash": dash}
    text = [f"{name}: {number(value)}" for value in y]
    return marks("line", -1, list(x), list(y), text, {}, **_named(name) | {"mode": "lines", "line": line})


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "showlegend": bool(name)}

"""What all figures share: colours, marks, the frame, and text that Plotly must not interpret."""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.wording import clean, wrap

INK = "#1f2328"
MUTED = "#6a737d"
GRID = "#d8dee4"
BAND = "#dfe3e8"
PAPER = "#ffffff"

# Hues after Okabe and Ito, which colour-blind readers can tell apart; darkened for 3:1 contrast on white.
COLOURS = ("#0072b2", "#c75300", "#00855f", "#ad4f86", "#8f6a00", "#4b5563")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot")

DARK = {
    INK: "#e6edf3",
    MUTED: "#9aa4af",
    GRID: "#30363d",
    BAND: "#2b3138",
    PAPER: "#0d1117",
    **dict(zip(COLOURS, ("#56b4e9", "#ff9248", "#2fcf9f", "#e79ac6", "#f0c541", "#b6bfca"), strict=True)),
}
"""Each colour's counterpart on a dark page; the page swaps them when the reader prefers dark."""

LINE = 16
"""Height of a line of labels, in pixels."""
_LABEL = 40
"""Characters of a label's line: what fits beside the margins on a phone."""

Figure = dict[str, Any]
"""A Plotly figure as plain JSON: ``data`` and ``layout``."""


@dataclass(frozen=True)
class Panel:
    """One figure and what is said about it."""

    title: str
    alt: str
    """What a reader who cannot see the figure is told."""
    figure: Figure
    note: str = ""


def with_data(panels: Iterable[Panel]) -> list[Panel]:
    """Return the panels in which something is drawn."""
    return [panel for panel in panels if panel.figure["data"]]


def colour(index: int) -> str:
    """Return the colour of the method at ``index``."""
    return COLOURS[index % len(COLOURS)]


def symbol(index: int) -> str:
    """Return the marker of the method at ``index``; colour and marker together differ for 36 methods."""
    return SYMBOLS[(index + index // len(COLOURS)) % len(SYMBOLS)]


def dash(index: int) -> str:
    """Return the line pattern of the method at ``index``."""
    return DASHES[index // len(COLOURS) % len(DASHES)]


def jitter(index: int, most: float) -> float:
    """Return pixels off a row's middle: the golden ratio spreads any number of dots evenly, the same every time."""
    return most * (2 * math.modf(index * (math.sqrt(5) - 1) / 2 + 0.5)[0] - 1)


def inert(text: str) -> str:
    """Return ``text`` so that Plotly shows it as it is: its labels would read tags, and so links, in it."""
    return html.escape(clean(text), quote=False)


def label(text: str) -> tuple[str, int]:
    """Return a name as a label for Plotly, broken into lines, and how many lines these are."""
    lines = wrap(text, _LABEL)
    return "<br>".join(inert(line) for line in lines), len(lines)


def note(text: str, x: float, y: float, **changes: Any) -> dict[str, Any]:
    """Return an annotation without an arrow: ``text`` as Plotly reads it, x as a share of the width, y on the axis."""
    plain = {"xref": "paper", "xanchor": "left", "yanchor": "top", "align": "left", "showarrow": False}
    return {"text": text, "x": x, "y": y, **plain, "font": {"size": 13, "color": INK}, **changes}


def rows_layout(height: float, x_title: str, right: int = 16) -> dict[str, Any]:
    """Return the layout of a figure of rows, whose y axis counts pixels from the top of the plot, ``height`` in all."""
    layout = frame(height, x_title, "", left=16, right=right)
    layout["yaxis"] = {"range": [height, 0], "visible": False, "fixedrange": True}
    return layout


def frame(height: float, x_title: str, y_title: str, left: int = 56, right: int = 16) -> dict[str, Any]:
    """Return a layout with axes in the page's colours and a plot ``height`` pixels high."""
    below, lines = label(x_title)
    margin = {"l": left, "r": right, "t": 28, "b": 32 + LINE * lines}
    return {
        "height": height + margin["t"] + margin["b"],
        "margin": {**margin, "autoexpand": False},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": PAPER,
            "bordercolor": MUTED,
            "font": {"color": INK},
            "align": "left",
            "namelength": -1,
        },
        # Dragging would catch the finger that scrolls the page; the mode bar still zooms.
        "dragmode": False,
        "modebar": {"bgcolor": PAPER, "color": MUTED, "activecolor": INK},
        "xaxis": {**axis(), "title": {"text": below, "standoff": 8}},
        "yaxis": {**axis(), "title": {"text": inert(y_title), "standoff": 8}},
        "shapes": [],
        "annotations": [],
    }


def axis() -> dict[str, Any]:
    """Return an axis in the page's colours."""
    return {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "tickcolor": GRID, "ticks": "outside"}


def marks(
    kind: str, method: int, x: list[float], y: list[float], text: list[str], marker: dict[str, Any], **more: Any
) -> Figure:
    """Return a trace of markers with ``text`` shown on hovering; ``kind`` and ``method`` say what it stands for."""
    trace = {"type": "scatter", "mode": "markers", "meta": {"kind": kind, "method": method}, "x": x, "y": y}
    return {**trace, "marker": marker, "hoverinfo": "text", "text": text, **more}


def bar(middle: float, low: float, high: float, colour: str, thickness: float = 1.5) -> dict[str, Any]:
    """Return the error bar that reaches from ``low`` to ``high`` round ``middle``."""
    ends = {"array": [high - middle], "arrayminus": [middle - low]}
    return {"type": "data", "symmetric": False, **ends, "color": colour, "thickness": thickness, "width": 3}


def reach(traces: list[Figure], axis: Literal["x", "y"]) -> list[float]:
    """Return every coordinate that traces of ``marks`` take up on an axis, ends of error bars included."""
    ends = []
    for trace in traces:
        ends += trace[axis]
        if f"error_{axis}" in trace:
            error = trace[f"error_{axis}"]
            ends += [trace[axis][0] + error["array"][0], trace[axis][0] - error["arrayminus"][0]]
    return ends


def rule(x: float, **line: Any) -> dict[str, Any]:
    """Return a vertical line at ``x`` through the whole plot, above the grid and behind the data."""
    shape = {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "between"}
    return {**shape, "line": {"color": MUTED, "width": 1, **line}}


def padded(values: list[float], share: float = 0.06, least: float = 1.0) -> list[float]:
    """Return the range of an axis that holds ``values`` with room beside them, at least ``least`` each side."""
    low, high = min(values), max(values)
    room = max((high - low) * share, least)
    return [low - room, high + room]

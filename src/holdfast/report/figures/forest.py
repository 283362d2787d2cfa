"""What decides: the difference from the baseline with its interval, one block a task."""

from typing import Any

from holdfast.records.summary import Overall, Row, Summary
from holdfast.report.figures.style import (
    BAND,
    GRID,
    INK,
    LINE,
    MUTED,
    Figure,
    Panel,
    bar,
    colour,
    inert,
    label,
    marks,
    note,
    padded,
    reach,
    rows_layout,
    rule,
)
from holdfast.report.rows import NORMALISED, method_order, rows_of
from holdfast.wording import clean, decimals, interval, level, signed, wrap

_MARGIN = 92
"""Pixels right of the plot for the verdicts."""
_ROW, _TRAINED, _HEAD = 34, 12, 30
"""Pixels below a label for an interval, for a second one, and for the heading of a block."""

Difference = tuple[float | None, float | None, float | None]
"""Difference in points, low and high end of its interval."""


def panels(summary: Summary) -> list[Panel]:
    """Return the forest plot, and a second one where the means over tasks have a unit of their own; maybe none."""
    plots = [_Forest(summary, "points")]
    for info in summary.tasks:
        rows = [row for row in rows_of(summary, info.task) if row.verdict != "baseline"]
        if rows:
            plots[0].add_heading(clean(info.task))
            for row in rows:
                plots[0].add_row(row)
    if any(overall.normalised for overall in summary.overall):
        plots.append(_Forest(summary, NORMALISED))
    if summary.overall:
        plots[-1].add_heading(f"mean over {summary.overall[0].tasks} tasks")
        for overall in summary.overall:
            plots[-1].add_overall(overall)
    return [plot.panel() for plot in plots if plot.data]


class _Forest:
    """The rows drawn so far and where the next one starts, in pixels from the top."""

    def __init__(self, summary: Summary, unit: str) -> None:
        self.unit = unit
        self.settings = summary.settings
        self.digits = decimals(summary.settings.delta)
        self.order = method_order(summary)
        self.data: list[Figure] = []
        self.annotations: list[dict[str, Any]] = []
        self.heads: list[float] = []
        self.alt: list[str] = []
        self.top = 0.0

    def add_heading(self, text: str) -> None:
        name, lines = label(text)
        self.heads.append(self.top)
        self.annotations.append(note(f"<b>{name}</b>", 0, self.top + 6))
        self.alt.append(f"{text}:")
        self.top += _HEAD + LINE * (lines - 1)

    def add_row(self, row: Row) -> None:
        middle = self._add_label(row.method, wrap(row.verdict, 11))
        counted = (row.difference, row.ci_low, row.ci_high)
        self.alt.append(f"{clean(row.method)} {self._said(counted)}, {row.verdict}.")
        self._add_mark("difference", row.method, counted, middle)
        if row.trained_difference is not None:
            trained = (row.trained_difference, row.trained_ci_low, row.trained_ci_high)
            self._add_mark("among trained runs", row.method, trained, middle + _TRAINED)
            self.top += _TRAINED

    def add_overall(self, overall: Overall) -> None:
        between = (overall.difference, overall.ci_low, overall.ci_high)
        middle = self._add_label(overall.method, [signed(between[0], self.digits), interval(*between[1:], self.digits)])
        self.alt.append(f"{clean(overall.method)} {self._said(between)}.")
        self._add_mark("overall", overall.method, between, middle)

    def _add_label(self, method: str, margin: list[str]) -> float:
        """Write a method's name and the margin's text; return where its interval belongs."""
        name, lines = label(method)
        self.annotations.append(note(name, 0, self.top))
        middle = self.top + LINE * lines + _ROW / 2 - 4
        shown = "<br>".join(inert(line) for line in margin)
        self.annotations.append(note(shown, 1, middle, xshift=8, yanchor="middle", font={"size": 12, "color": INK}))
        self.top += LINE * lines + _ROW
        return middle

    def _add_mark(self, kind: str, method: str, between: Difference, y: float) -> None:
        middle, low, high = between
        if middle is None:
            return
        trained = kind == "among trained runs"
        shade = MUTED if trained else colour(self.order[method])
        marker = {"size": 9, "color": shade, "symbol": "circle-open" if trained else "square"}
        text = f"{inert(method)}{', runs that trained' if trained else ''}<br>{self._said(between)}"
        more = {} if low is None or high is None else {"error_x": bar(middle, low, high, shade, 2)}
        self.data.append(marks(kind, self.order[method], [middle], [y], [text], marker, **more))

    def _said(self, between: Difference) -> str:
        return f"{signed(between[0], self.digits)} {interval(between[1], between[2], self.digits)}".rstrip()

    def panel(self) -> Panel:
        baseline, delta = clean(self.settings.baseline), self.settings.delta
        layout = rows_layout(self.top, f"difference from {baseline} in {self.unit}", right=_MARGIN)
        ends = [*reach(self.data, "x"), 0.0]
        if self.unit == "points":
            ends += [-delta, delta]
            band = {"type": "rect", "xref": "x", "yref": "paper", "x0": -delta, "x1": delta, "y0": 0, "y1": 1}
            layout["shapes"].append({**band, "layer": "below", "line": {"width": 0}, "fillcolor": BAND})
        layout["xaxis"]["range"] = padded(ends)
        layout["annotations"] = self.annotations
        layout["shapes"].append(rule(0, color=INK))
        for y in self.heads[1:]:
            line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
            layout["shapes"].append({**line, "line": {"color": GRID, "width": 1}})
        title = f"Differences from {baseline} in {self.unit}, with {level(self.settings.alpha)} intervals"
        return Panel(title, f"{title}. {' '.join(self.alt)}", {"data": self.data, "layout": layout})

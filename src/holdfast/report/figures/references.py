"""What scores are seen against: the best constant prediction and the pre-trained model, as labelled lines."""

from typing import Any, NamedTuple

from holdfast.report.figures.style import MUTED, Figure, note, padded, rule
from holdfast.wording import points


class Reference(NamedTuple):
    """A score in points and what it is of."""

    name: str
    score: float
    dash: str


def constant(score: float | None) -> list[Reference]:
    """Return the best constant prediction's score where it is known."""
    return [] if score is None else [Reference("constant prediction", score, "dot")]


def pretrained(score: float | None) -> list[Reference]:
    """Return the pre-trained model's score where it is known."""
    return [] if score is None else [Reference("pre-trained", score, "dash")]


def add_upright(layout: Figure, ends: list[float], references: list[Reference], digits: int) -> None:
    """Set the x axis to hold ``ends`` and draw each reference as an upright line, its label above the plot."""
    low, high = _range(ends, references)
    layout["xaxis"]["range"] = [low, high]
    layout["shapes"] += [rule(one.score, dash=one.dash) for one in references]
    for index, one in enumerate(references):
        said = f"{one.name} {points(one.score, digits)}"
        left = one.score <= (low + high) / 2
        # Each label has a line of its own, so that none hides another.
        style: dict[str, Any] = {"yref": "paper", "yanchor": "bottom", "yshift": 14 * index}
        style |= {"xanchor": "left" if left else "right", "font": {"size": 11, "color": MUTED}}
        if low <= one.score <= high:
            layout["annotations"].append(note(said, one.score, 1, **style | {"xref": "x"}))
        else:
            layout["annotations"].append(note(f"← {said}" if left else f"{said} →", 0 if left else 1, 1, **style))
    # Below the mode bar.
    extra = 14 * len(references)
    layout["margin"]["t"] += extra
    layout["height"] += extra


def add_level(layout: Figure, ends: list[float], references: list[Reference], digits: int) -> None:
    """Set the y axis to hold ``ends`` and draw each reference as a level line, its label in a corner of the plot."""
    low, high = _range(ends, references)
    layout["yaxis"]["range"] = [low, high]
    for index, one in enumerate(references):
        said = f"{one.name} {points(one.score, digits)}"
        line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": one.score, "y1": one.score}
        if low <= one.score <= high:
            shape = {**line, "layer": "between", "line": {"color": MUTED, "width": 1, "dash": one.dash}}
            layout["shapes"].append(shape)
        at = min(max(one.score, low), high)
        said = said if at == one.score else f"{said} {'↓' if one.score < low else '↑'}"
        # Opposite sides, so that labels of lines that lie close do not meet.
        side: dict[str, Any] = {"xanchor": "right", "align": "right"} if index % 2 else {"xanchor": "left"}
        above = at < (low + high) / 2
        side |= {"yanchor": "bottom" if above else "top", "font": {"size": 11, "color": MUTED}}
        layout["annotations"].append(note(said, index % 2, at, **side))


def _range(ends: list[float], references: list[Reference]) -> list[float]:
    """The axis for ``ends``; a reference far off is pointed at, or it would squeeze the data."""
    low, high = padded(ends or [one.score for one in references] or [0.0])
    near = [one.score for one in references if max(low - one.score, one.score - high) <= 0.75 * (high - low)]
    return padded([*ends, *near] or [low, high])

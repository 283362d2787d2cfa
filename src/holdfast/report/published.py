"""The paper's numbers beside the measured ones, for studies that follow a recipe."""

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.records.summary import PublishedRow, Reproduction
from holdfast.report.layout import NumbersTable
from holdfast.report.text import clean, points, signed

TITLE = "Beside the paper"
SMOKE = "Smoke run: a tiny random model on generated text. It shows that the recipe runs; no score here means anything."
HEADER = ("scored on", "metric", "of the runs", "paper (runs)", "measured (runs)", "difference")
"""Of all columns but the methods', which stand before them."""


def about(reproduction: Reproduction) -> str:
    """Return which recipe of which paper was followed, in one line."""
    return clean(
        f"Recipe {reproduction.recipe}: {reproduction.title} (arXiv {reproduction.arxiv}), {reproduction.table}"
    )


def names(rows: Sequence[PublishedRow]) -> list[str]:
    """Return the methods of the table's lines, with what the paper calls them."""
    return [clean(f"{row.method} ({row.called})" if row.called else row.method) for row in rows]


def lines(rows: Sequence[PublishedRow]) -> list[list[str]]:
    """Return the cells under ``HEADER``, in points, with as many decimals as the paper gives anywhere."""
    digits = 1 if all(round(row.published, 1) == row.published for row in rows) else 2
    return [
        [
            clean(row.place),
            clean(row.metric),
            "mean (paper: not told)" if row.statistic == "unstated" else row.statistic,
            f"{points(row.published, digits)} ({row.published_runs or 'not told'})",
            f"{points(row.measured, digits)} ({row.n})",
            signed(row.difference, digits),
        ]
        for row in rows
    ]


def notes(reproduction: Reproduction, whole: bool = True) -> list[str]:
    """Return what the numbers must be read with, a sentence each; not ``whole``: the reasons left to the page."""
    rows = reproduction.rows
    told = [SMOKE] if reproduction.smoke else []
    if not rows:
        told.append("There is no verified result of the paper for these methods to compare with.")
    elif not reproduction.smoke:
        told.append(
            "The paper's numbers were read, not measured here; a difference is measured minus paper, in points."
        )
    if any(row.statistic == "best" and row.published_runs and row.n < row.published_runs for row in rows):
        told.append("The best of fewer runs is lower on average, whatever the method.")
    if reproduction.changed:
        told.append(f"Changed from the recipe: {clean('; '.join(reproduction.changed))}.")
    if whole:
        return told + [clean(sentence) for sentence in reproduction.differs] + unverified(reproduction.unverified)
    keys = ", ".join(reproduction.unverified)
    return [*told, f"Not verified: {clean(keys)}. The reasons, and what is otherwise than in the paper: report.html."]


def unverified(reasons: Mapping[str, str]) -> list[str]:
    """Return which keys of a recipe are not verified and why, one line a reason."""
    keys: dict[str, list[str]] = {}
    for key, why in reasons.items():
        keys.setdefault(clean(why), []).append(clean(key))
    return [f"Not verified: {', '.join(group)}: {why}" for why, group in keys.items()]


def block(reproduction: Reproduction) -> RenderableType:
    """Return the table and its notes for a terminal."""
    parts: list[RenderableType] = [Text(TITLE, style="bold"), Text(about(reproduction), style="dim"), Text()]
    if reproduction.rows:
        parts += [NumbersTable(names(reproduction.rows), HEADER, lines(reproduction.rows), len(HEADER)), Text()]
    for note in notes(reproduction, whole=False):
        marked = Table.grid(padding=(0, 1, 0, 0))
        marked.add_row("•", Text(note))
        parts.append(Padding(marked, (0, 0, 0, 1), expand=False))
    return Group(*parts)

"""The paper's numbers beside the measured ones, for studies that follow a recipe."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import PublishedRow, Reproduction, Summary
from holdfast.report.block import Block, Cell, Details, Heading, Row, Table
from holdfast.wording import clean, points, signed

SMOKE = "Smoke run: a tiny random model on generated text. It shows that the recipe runs; no score here means anything."


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block; none for a study that follows no recipe."""
    return [paper_comparison(summary.reproduction)] if summary.reproduction else []


def paper_comparison(reproduction: Reproduction) -> Block:
    """Return which recipe of which paper was followed, the paper's numbers beside the measured ones, what to know."""
    reasons = (*map(clean, reproduction.differs), *unverified(reproduction.unverified))
    return Block(
        "Beside the paper",
        intro=f"Recipe {reproduction.recipe}: {reproduction.title} (arXiv {reproduction.arxiv}), {reproduction.table}",
        table=_table(reproduction.rows) if reproduction.rows else None,
        notes=tuple(_notes(reproduction)),
        details=(Details("What is otherwise than in the paper, and what is not verified", reasons),) if reasons else (),
    )


def unverified(reasons: Mapping[str, str]) -> list[str]:
    """Return which keys of a recipe are not verified and why, one line a reason."""
    keys: dict[str, list[str]] = {}
    for key, why in reasons.items():
        keys.setdefault(clean(why), []).append(clean(key))
    return [f"Not verified: {', '.join(group)}: {why}" for why, group in keys.items()]


def _table(rows: Sequence[PublishedRow]) -> Table:
    """In points, with as many decimals as the paper gives anywhere."""
    digits = 1 if all(round(row.published, 1) == row.published for row in rows) else 2
    headings = (
        Heading("method", "left"),
        Heading("scored on", key=True),
        Heading("metric", key=True),
        Heading("of the runs", key=True),
        Heading("paper (runs)"),
        Heading("measured (runs)"),
        Heading("difference"),
    )
    lines = [
        Row(
            # With what the paper calls it.
            clean(f"{row.method} ({row.called})" if row.called else row.method),
            (
                Cell(clean(row.place)),
                Cell(clean(row.metric)),
                Cell("mean (paper: not told)" if row.statistic == "unstated" else row.statistic),
                Cell(f"{points(row.published, digits)} ({row.published_runs or 'not told'})"),
                Cell(f"{points(row.measured, digits)} ({row.n})"),
                Cell(signed(row.difference, digits)),
            ),
            "text",
        )
        for row in rows
    ]
    return Table(headings, tuple(lines))


def _notes(reproduction: Reproduction) -> list[str]:
    rows = reproduction.rows
    notes = [SMOKE] if reproduction.smoke else []
    if not rows:
        notes.append("There is no verified result of the paper for these methods to compare with.")
    elif not reproduction.smoke:
        notes.append(
            "The paper's numbers were read, not measured here; a difference is measured minus paper, in points."
        )
    if any(row.statistic == "best" and row.published_runs and row.n < row.published_runs for row in rows):
        notes.append("The best of fewer runs is lower on average, whatever the method.")
    if reproduction.changed:
        notes.append(f"Changed from the recipe: {clean('; '.join(reproduction.changed))}.")
    if reproduction.unverified:
        notes.append(f"Not verified: {clean(', '.join(reproduction.unverified))}.")
    return notes

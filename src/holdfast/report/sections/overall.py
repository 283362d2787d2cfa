"""The means over the tasks."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Cell, Heading, Row, Table
from holdfast.report.rows import NORMALISED
from holdfast.wording import clean, decimals, interval, level, signed


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block; none where the study has no means over tasks."""
    if not summary.overall:
        return []
    digits = decimals(summary.settings.delta)
    unit = NORMALISED if any(overall.normalised for overall in summary.overall) else "points"
    headings = (
        Heading("method", "left"),
        Heading(f"mean difference [{level(summary.settings.alpha)} CI]"),
        Heading("tasks"),
    )
    rows = tuple(
        Row(
            clean(overall.method),
            (
                Cell(f"{signed(overall.difference, digits)} {interval(overall.ci_low, overall.ci_high, digits)}"),
                Cell(str(overall.tasks)),
            ),
        )
        for overall in summary.overall
    )
    return [Block(f"Mean difference over these tasks, in {unit}", table=Table(headings, rows))]

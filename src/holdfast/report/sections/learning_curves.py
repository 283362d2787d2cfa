"""Scores against the number of training rows."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import learning_curves
from holdfast.report.rows import method_order


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "Learning curves",
            figures=Figures(
                "size",
                lambda: learning_curves.panels(summary),
                tuple(method_order(summary)),
                intro="A mark is a mean over seeds, a dot a run; smaller training sets are part of the larger ones.",
            ),
        )
    ]

"""What a method costs against what it scores."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import cost
from holdfast.report.rows import method_order


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "Cost",
            figures=Figures(
                "cost",
                lambda: cost.panels(summary),
                tuple(method_order(summary)),
                intro="Mean score against median training time of a run. Up and to the left is better.",
            ),
        )
    ]

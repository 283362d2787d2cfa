"""The representation during training."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import monitor
from holdfast.report.rows import method_order


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "The representation during training",
            figures=Figures(
                "monitor",
                lambda: monitor.panels(summary, records),
                tuple(method_order(summary)),
                intro="The last layer on a fixed set of rows; CKA with the pre-trained model, distance of the weights "
                "from its. Strong: the mean over seeds; faint: single runs.",
            ),
        )
    ]

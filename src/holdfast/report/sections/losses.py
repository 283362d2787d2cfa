"""How the losses fell."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import losses
from holdfast.report.rows import method_order


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "Losses",
            figures=Figures(
                "loss",
                lambda: losses.panels(summary, records),
                tuple(method_order(summary)),
                intro="Strong: the mean over seeds; faint: single runs. Penalties, as they entered the loss, on a "
                "logarithmic scale.",
            ),
        )
    ]

"""Every run as a dot."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import strip
from holdfast.wording import level


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "Every run",
            figures=Figures(
                "strip",
                lambda: strip.panels(summary),
                intro="A dot is a run, hollow when it failed; the tick below is the mean of the runs that trained with "
                f"its {level(summary.settings.alpha)} interval, the diamond the mean that counts failed runs. Faint "
                "lines join the same seed. Intervals of two methods that overlap do not decide: the differences do.",
            ),
        )
    ]

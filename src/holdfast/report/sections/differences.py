"""The differences from the baseline, which decide."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import forest
from holdfast.wording import clean


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block of figures only."""
    return [
        Block(
            "Differences",
            figures=Figures(
                "forest",
                lambda: forest.panels(summary),
                intro=f"Right of zero is better than {clean(summary.settings.baseline)}. Shaded: within "
                f"±{summary.settings.delta:g}, too small to matter. Open circles: among the runs that trained.",
            ),
        )
    ]

"""Every run's scores on other tasks: out of domain, and by linear probes."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import transfer


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return two blocks of figures only."""
    return [
        Block(
            "Out of domain",
            figures=Figures(
                "ood", lambda: transfer.panels(summary, "ood"), intro="A dot is a run, the tick their mean."
            ),
        ),
        Block(
            "What the tuned models still know",
            figures=Figures(
                "probe",
                lambda: transfer.panels(summary, "probe"),
                intro="Linear probes of the frozen bodies on other tasks. A dot is a run, the tick their mean; dashed: "
                "the pre-trained model under the same probes.",
            ),
        ),
    ]

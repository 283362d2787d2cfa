"""Sections of figures only."""

from collections.abc import Callable, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Summary
from holdfast.report.block import Block, Figures
from holdfast.report.figures import cost, forest, learning_curves, losses, monitor, strip, transfer
from holdfast.report.figures.style import Panel
from holdfast.report.rows import method_order
from holdfast.wording import clean, level

Panels = Callable[[], Sequence[Panel]]


def every_run(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Every run as a dot."""
    intro = (
        "A dot is a run, hollow when it failed; the tick below is the mean of the runs that trained with its "
        f"{level(summary.settings.alpha)} interval, the diamond the mean that counts failed runs. Faint lines join the "
        "same seed. Intervals of two methods that overlap do not decide: the differences do."
    )
    return [_block("Every run", "strip", lambda: strip.panels(summary), intro)]


def differences(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """The differences from the baseline, which decide."""
    settings = summary.settings
    intro = (
        f"Right of zero is better than {clean(settings.baseline)}. Shaded: within ±{settings.delta:g}, too small to "
        "matter. Open circles: among the runs that trained."
    )
    return [_block("Differences", "forest", lambda: forest.panels(summary), intro)]


def against_rows(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Scores against the number of training rows."""
    intro = "A mark is a mean over seeds, a dot a run; smaller training sets are part of the larger ones."
    return [_block("Learning curves", "size", lambda: learning_curves.panels(summary), intro, summary)]


def other_tasks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Every run's scores on other tasks: out of domain, and by linear probes."""
    probes = (
        "Linear probes of the frozen bodies on other tasks. A dot is a run, the tick their mean; dashed: the "
        "pre-trained model under the same probes."
    )
    return [
        _block("Out of domain", "ood", lambda: transfer.panels(summary, "ood"), "A dot is a run, the tick their mean."),
        _block("What the tuned models still know", "probe", lambda: transfer.panels(summary, "probe"), probes),
    ]


def during_training(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """The representation during training."""
    intro = (
        "The last layer on a fixed set of rows; CKA with the pre-trained model, distance of the weights from its. "
        "Strong: the mean over seeds; faint: single runs."
    )
    title = "The representation during training"
    return [_block(title, "monitor", lambda: monitor.panels(summary, records), intro, summary)]


def costs(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """What a method costs against what it scores."""
    intro = "Mean score against median training time of a run. Up and to the left is better."
    return [_block("Cost", "cost", lambda: cost.panels(summary), intro, summary)]


def loss_curves(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """How the losses fell."""
    intro = (
        "Strong: the mean over seeds; faint: single runs. Penalties, as they entered the loss, on a logarithmic scale."
    )
    return [_block("Losses", "loss", lambda: losses.panels(summary, records), intro, summary)]


def _block(title: str, name: str, panels: Panels, intro: str, keyed: Summary | None = None) -> Block:
    """A block of figures, with a key of the methods of ``keyed`` where their marks are to be looked up."""
    methods = () if keyed is None else tuple(method_order(keyed))
    return Block(title, figures=Figures(name, panels, methods, intro=intro))

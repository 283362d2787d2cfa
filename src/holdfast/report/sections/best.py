"""The models that were kept."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Best, Summary
from holdfast.report.block import Block
from holdfast.wording import clean, decimals, points


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block; none where no model was kept."""
    digits = decimals(summary.settings.delta)
    return [Block("Best model", notes=tuple(_kept(best, digits) for best in summary.best))] if summary.best else []


def _kept(best: Best, digits: int) -> str:
    """Which model was kept, what it scored, and whether that score is optimistic."""
    what = f"{clean(best.task)}: {clean(best.method)}, seed {best.seed}"
    if best.score is not None:
        what += f", scores {points(best.score, digits)}"
    chosen = points(best.selection_score, digits)
    if best.optimistic:
        return f"{what}; chosen by its {chosen} on the very rows that score it: optimistic, expect less on new data."
    return f"{what}; chosen by its {chosen} on the selection rows, not on the scored ones."

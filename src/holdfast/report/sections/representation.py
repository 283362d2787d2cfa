"""What fine-tuning did to the representation: each layer of the tuned models against the pre-trained one."""

from collections.abc import Callable, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Representation, Summary
from holdfast.report.block import Block, Cell, Details, Figures, Heading, Row, Table
from holdfast.report.figures import representation
from holdfast.report.rows import PRETRAINED, last_layers, method_order
from holdfast.wording import ABSENT, clean, points, rank_share

_READING = (
    "CKA: how alike a layer's states of the same rows are before and after fine-tuning, 1 when one is the other "
    "rotated and scaled. Effective rank and participation ratio: in how many directions the states spread, the "
    "first by the entropy of their spectrum, the second by its squares. Mean cosine: of two rows' states, "
    "near 1 when all point one way. Collapse shows as a falling rank and a rising cosine; a layer far from the "
    "pre-trained one has changed, which need not be a loss: the probes tell."
)


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block with a table for each task whose models' layers were measured; none without."""
    parts = []
    for info in summary.tasks:
        if rows := list(last_layers(summary, info.task).values()):
            parts.append(Block(f"{clean(info.task)}, layer {rows[0].layer}, the last", table=_table(rows)))
    if not parts:
        return []
    return [
        Block(
            "What became of the representation",
            intro="Each layer of the tuned models against the pre-trained one, on the same scored rows and without "
            "their labels; means over the runs.",
            parts=tuple(parts),
            details=(Details("How to read the representation", (_READING,)),),
            figures=Figures("layer", lambda: representation.panels(summary), tuple(method_order(summary))),
        )
    ]


def _table(rows: list[Representation]) -> Table:
    columns: list[tuple[str, Callable[[Representation], str], Callable[[Representation], str]]] = [
        ("runs", lambda row: str(row.runs), lambda row: ABSENT),
        ("CKA", lambda row: points(row.cka, 2), lambda row: "1.00"),
        (
            "effective rank",
            lambda row: rank_share(row.effective_rank, row.effective_rank_start),
            lambda row: rank_share(row.effective_rank_start, row.effective_rank_start),
        ),
        (
            "participation ratio",
            lambda row: rank_share(row.participation_ratio, row.participation_ratio_start),
            lambda row: rank_share(row.participation_ratio_start, row.participation_ratio_start),
        ),
        ("mean cosine", lambda row: points(row.mean_cosine, 2), lambda row: points(row.mean_cosine_start, 2)),
        (
            "weights moved",
            lambda row: ABSENT if row.weight_distance is None else f"{row.weight_distance:.3g}",
            lambda row: "0",
        ),
    ]
    shown = [(name, [write(row) for row in rows], start(rows[0])) for name, write, start in columns]
    shown = [column for column in shown if set(column[1]) != {ABSENT}]
    lines = zip(*(cells for _, cells, _ in shown), strict=True)
    return Table(
        (Heading("method", "left"), *(Heading(name) for name, _, _ in shown)),
        (
            *(Row(clean(row.method), tuple(map(Cell, line))) for row, line in zip(rows, lines, strict=True)),
            Row(PRETRAINED, tuple(Cell(start) for _, _, start in shown), "reference"),
        ),
    )

"""What fine-tuning did to the representation: the last layer's measures as a table."""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.records.summary import Representation, Summary
from holdfast.report.text import ABSENT, clean, percent, points

TITLE = "What became of the representation"
PRETRAINED = "(pre-trained model)"


@dataclass(frozen=True)
class RepresentationTable:
    """One task's last layer as text; columns that no method has are left out."""

    task: str
    layer: int
    header: tuple[str, ...]
    """Of all but the methods, which stand before them."""
    methods: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    start: tuple[str, ...]
    """The pre-trained model's own cells."""


def layers_of(summary: Summary, task: str) -> dict[str, list[Representation]]:
    """Return each method's layers on one task, the embeddings first."""
    found: dict[str, list[Representation]] = {}
    for row in summary.representations:
        if row.task == task:
            found.setdefault(row.method, []).append(row)
    return {method: sorted(rows, key=lambda row: row.layer) for method, rows in found.items()}


def last_layers(summary: Summary, task: str) -> dict[str, Representation]:
    """Return each method's last layer on one task."""
    return {method: rows[-1] for method, rows in layers_of(summary, task).items()}


def representation_tables(summary: Summary) -> list[RepresentationTable]:
    """Return a table for each task whose models' layers were measured."""
    return [
        _table(info.task, list(found.values())) for info in summary.tasks if (found := last_layers(summary, info.task))
    ]


def representation_reading(summary: Summary) -> list[str]:
    """Return how the measures are to be read; nothing without them."""
    if not summary.representations:
        return []
    return [
        "CKA: how alike a layer's states of the same rows are before and after fine-tuning, 1 when one is the other "
        "rotated and scaled. Effective rank and participation ratio: in how many directions the states spread, the "
        "first by the entropy of their spectrum, the second by its squares. Mean cosine: of two rows' states, "
        "near 1 when all point one way. Collapse shows as a falling rank and a rising cosine; a layer far from the "
        "pre-trained one has changed, which need not be a loss: the probes tell.",
    ]


def rank_share(rank: float | None, start: float | None) -> str:
    """Return an effective rank and its share of the pre-trained model's, such as ``34.2 (62 %)``."""
    if rank is None:
        return ABSENT
    return f"{rank:.1f} ({percent(rank / start)})" if start else f"{rank:.1f}"


def _table(task: str, rows: list[Representation]) -> RepresentationTable:
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
    return RepresentationTable(
        task=clean(task),
        layer=rows[0].layer,
        header=tuple(name for name, _, _ in shown),
        methods=tuple(clean(row.method) for row in rows),
        lines=tuple(zip(*(cells for _, cells, _ in shown), strict=True)),
        start=tuple(start for _, _, start in shown),
    )

"""A score with a mark for its verdict, for tables in which many comparisons stand side by side."""

from collections.abc import Iterable

from holdfast.records.summary import Verdict
from holdfast.report.block import Cell, Table
from holdfast.wording import ABSENT, clean, spread

MARKS: dict[Verdict, str] = {
    "better": "▲",
    "worse": "▼",
    "practically equal": "=",
    "cannot be told apart": "?",
    "too few runs": "…",
}


def marked(mean: float | None, std: float | None, verdict: Verdict | None, digits: int) -> Cell:
    """Return the cell of a score in points; without a mean there is no verdict to show."""
    if mean is None:
        return Cell(ABSENT)
    mark = MARKS.get(verdict, "") if verdict else ""
    return Cell(spread(mean, std, digits), verdict=verdict if mark else None, mark=mark)


def marks_key(tables: Iterable[Table], baseline: str) -> tuple[str, ...]:
    """Return what the marks in ``tables`` mean, in a sentence; nothing where there are none."""
    present = {cell.verdict for table in tables for row in table.rows for cell in row.cells if cell.mark}
    meanings = [f"{mark} {verdict}" for verdict, mark in MARKS.items() if verdict in present]
    return (f"Marks, against {clean(baseline)}: {', '.join(meanings)}.",) if meanings else ()

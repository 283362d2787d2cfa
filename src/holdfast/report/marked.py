"""A score with a mark for its verdict, for tables in which many comparisons stand side by side."""

from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.records.summary import Verdict
from holdfast.report.text import ABSENT, clean, points

MARKS: dict[Verdict, str] = {
    "better": "▲",
    "worse": "▼",
    "practically equal": "=",
    "cannot be told apart": "?",
    "too few runs": "…",
}


@dataclass(frozen=True)
class Marked:
    """A cell: a mean with its standard deviation as text, and the verdict on it."""

    mean: str = ABSENT
    std: str = ""
    verdict: Verdict | None = None

    @property
    def mark(self) -> str:
        """The verdict's mark; empty for the baseline, and where nothing was compared."""
        return MARKS.get(self.verdict, "") if self.verdict else ""

    @property
    def text(self) -> str:
        """The whole cell; the mark stands first, so that the numbers below each other stay in line."""
        return f"{self.mark} {self.mean}{f' ± {self.std}' if self.std else ''}".strip()


def marked(mean: float | None, std: float | None, verdict: Verdict | None, digits: int) -> Marked:
    """Return the cell of a score in points; without a mean there is no verdict to show."""
    if mean is None:
        return Marked()
    return Marked(points(mean, digits), "" if std is None else points(std, digits), verdict)


def marks_key(cells: Iterable[Marked], baseline: str) -> str:
    """Return what the marks in ``cells`` mean, in a sentence; empty where there are none."""
    found = {cell.verdict for cell in cells if cell.mark}
    words = {verdict: f"{mark} {verdict}" for verdict, mark in MARKS.items()}
    told = [words[verdict] for verdict in MARKS if verdict in found]
    return f"Marks, against {clean(baseline)}: {', '.join(told)}." if told else ""

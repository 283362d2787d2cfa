"""What a report is made of: blocks, which say nothing of how they are shown.

A section is a function of ``report.sections`` (or ``report.sequence``) that returns its blocks; the
renderers, ``terminal``, ``markdown`` and ``html``, know blocks only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from holdfast.records.summary import Verdict
from holdfast.report.figures.style import Panel


@dataclass(frozen=True)
class Heading:
    """The head of a column."""

    text: str
    """May have several lines, which a renderer may join."""
    align: Literal["left", "right"] = "right"
    key: bool = False
    """Tells rows of one name apart: where a table is split, the column stands in each part."""
    beside: bool = False
    """Stands beside the row's name where there is no room for a column."""
    aside: bool = False
    """Left to the page, which has room."""


@dataclass(frozen=True)
class Cell:
    """One cell, as text; empty where nothing is to be said."""

    text: str = ""
    below: tuple[str, ...] = ()
    """Further lines, of less weight."""
    aside: tuple[str, ...] = ()
    """Lines after these which are left to the page."""
    verdict: Verdict | None = None
    """What the cell says, or what its mark stands for."""
    mark: str = ""
    """Stands before the text, so that numbers below each other stay in line."""

    @property
    def words(self) -> str:
        """The mark and the text."""
        return f"{self.mark} {self.text}".strip()


@dataclass(frozen=True)
class Row:
    """A name and a cell for each further heading."""

    name: str
    cells: tuple[Cell, ...]
    kind: Literal["method", "baseline", "reference", "text"] = "method"
    """What the name is of: a method, the one that the others are compared with, something to compare with; or text."""


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first heading is that of the names."""

    headings: tuple[Heading, ...]
    rows: tuple[Row, ...]
    many: bool = False
    """Has as many columns as a study asks for, and so may be wider than a page."""


@dataclass(frozen=True)
class Details:
    """Sentences that are there on demand."""

    title: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Figures beside each other, drawn when a renderer that shows figures asks for them."""

    name: str
    """Of this group, different from the page's other groups: letters only."""
    panels: Callable[[], Sequence[Panel]]
    methods: tuple[str, ...] = ()
    """Methods in the order of their colours and marks, where a key that shows and hides them is needed."""
    intro: str = ""


@dataclass(frozen=True)
class Block:
    """A piece of a report; what is empty is not shown, nor is a title or an intro with nothing below it."""

    title: str = ""
    intro: str = ""
    table: Table | None = None
    parts: tuple["Block", ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Names and values."""
    notes: tuple[str, ...] = ()
    """Sentences."""
    details: tuple[Details, ...] = ()
    figures: Figures | None = None
    lead: bool = False
    """Set off: what a reader is to see first."""
    lookup: bool = False
    """Looked up and not read, so left to the page."""


@dataclass(frozen=True)
class Report:
    """Blocks under a title."""

    blocks: tuple[Block, ...]
    title: str = ""
    lead: str = ""
    """What was done, in a line."""
    foot: str = ""
    """By what it was made."""

"""A report as GitHub Markdown, for a README, a documentation page or a model card."""

import html
import re
from collections.abc import Iterable, Sequence

from holdfast.report.block import Block, Cell, Details, Report, Row, Table
from holdfast.wording import clean

_BAR = re.compile(r"(?<!\\)\|")
_SPECIAL = re.compile(r"([\\`*_{}<>#|~&$])")
_BRACKET = re.compile(r"([\[\]])")
_LINKS = re.compile(r"\][(\[:]|^\[")
"""Without one of these, brackets are brackets."""


def markdown(report: Report) -> str:
    """Return ``report`` as GitHub Markdown: no figures, nothing that is only looked up."""
    head = [f"**{escape(report.title)}** {escape(report.lead)}."] if report.title else []
    return "\n\n".join([*head, *(part for block in report.blocks for part in _block(block, 1))]) + "\n"


def table(shown: Table) -> str:
    """Return a table; a verdict that decides is in bold."""
    columns = [i for i, heading in enumerate(shown.headings[1:]) if not heading.aside]
    headings = [shown.headings[0], *(shown.headings[i + 1] for i in columns)]
    header = ["<br>".join(escape(line) for line in heading.text.split("\n")) for heading in headings]
    lines = [[_name(row), *(_cell(row.cells[i], shown.headings[i + 1].beside) for i in columns)] for row in shown.rows]
    return grid(header, lines, [heading.align == "left" for heading in headings[1:]])


def grid(header: Sequence[str], lines: Sequence[Sequence[str]], left: Sequence[bool] = ()) -> str:
    """Return a table of cells in Markdown; columns but the first, and those marked ``left``, are aligned right."""
    sides = [*left, *[False] * (len(header) - 1 - len(left))]
    rule = ["---", *("---" if side else "---:" for side in sides)]
    # A bar ends a cell even inside a code span.
    return "\n".join(
        "| " + " | ".join(_BAR.sub(r"\\|", cell) for cell in line) + " |" for line in [header, rule, *lines]
    )


def escape(text: str) -> str:
    """Return ``text`` on one line so that Markdown shows it as it is."""
    escaped = _SPECIAL.sub(r"\\\1", clean(text))
    return _BRACKET.sub(r"\\\1", escaped) if _LINKS.search(escaped) else escaped


def code(text: str) -> str:
    """Return ``text`` as a code span, whatever is in it."""
    inner = clean(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", inner)), default=0))
    pad = " " if inner.startswith("`") or inner.endswith("`") or not inner else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def _block(block: Block, level: int) -> list[str]:
    """A block's paragraphs; none where Markdown has nothing of it to show."""
    if block.lookup:
        return []
    content = [table(block.table)] if block.table else []
    content += [paragraph for part in block.parts for paragraph in _block(part, level + 1)]
    content += [_items(f"{name}: {value}" for name, value in block.facts)] if block.facts else []
    content += [_items(block.notes)] if block.notes else []
    content += [_details(details) for details in block.details]
    if not content:
        return []
    title = f"**{escape(block.title)}**" if level < 3 else escape(block.title)
    intro = escape(block.intro)
    head = f"{title}. {intro}" if intro and block.title else intro if intro else title if block.title else ""
    return [head, *content] if head else content


def _items(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {escape(sentence)}" for sentence in sentences)


def _details(details: Details) -> str:
    return f"<details><summary>{html.escape(details.title)}</summary>\n\n{_items(details.notes)}\n\n</details>"


def _name(row: Row) -> str:
    return code(row.name) if row.kind in ("method", "baseline") else escape(row.name)


def _cell(cell: Cell, decides: bool) -> str:
    shown = escape(cell.words)
    if decides and cell.verdict in ("better", "worse"):
        shown = f"**{shown}**"
    return "<br>".join(part for part in (shown, *map(escape, cell.below)) if part)

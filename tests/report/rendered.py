"""A study's report in each of its forms."""

import io
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from holdfast.records.run import RunRecord
from holdfast.records.summary import SequenceSummary, Summary
from holdfast.report import markdown as markdown_renderer
from holdfast.report import page as page_renderer
from holdfast.report.block import Report, Table
from holdfast.report.sections import study_report
from holdfast.report.sequence.sections import sequence_report
from holdfast.report.terminal import show


def report(summary: Summary | SequenceSummary, records: Sequence[RunRecord] = ()) -> Report:
    if isinstance(summary, SequenceSummary):
        return sequence_report(summary, records)
    return study_report(summary, records)


def page(summary: Summary | SequenceSummary, records: Sequence[RunRecord] = ()) -> str:
    return page_renderer.page(report(summary, records))


def markdown(summary: Summary | SequenceSummary) -> str:
    return markdown_renderer.markdown(report(summary))


def terminal(summary: Summary | SequenceSummary, width: int = 80, files: Any = None, **options: Any) -> str:
    """What a terminal of ``width`` columns shows."""
    stream = io.StringIO()
    show(report(summary), Console(file=stream, width=width, **options), files)
    return stream.getvalue()


def grid(table: Table | None) -> tuple[list[str], dict[str, list[str]]]:
    """The headings of a table but the first, each in a line, and the cells by name."""
    assert table is not None
    header = [" ".join(heading.text.split()) for heading in table.headings[1:]]
    return header, {row.name: [cell.words for cell in row.cells] for row in table.rows}

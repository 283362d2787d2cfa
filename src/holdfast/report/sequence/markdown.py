"""A sequence of tasks as GitHub Markdown, for a documentation page."""

from holdfast.records.summary import SequenceSummary
from holdfast.report import remarks
from holdfast.report.markdown import code, escape, grid, heading_cell, items
from holdfast.report.sequence.tables import lead_of, notes, probe_tables, stage_table


def sequence_markdown(summary: SequenceSummary) -> str:
    """Return the tables, the verdicts in words, the choices, warnings and missing runs as GitHub Markdown."""
    parts = [escape(lead_of(summary)) + "."]
    for table in (*probe_tables(summary), stage_table(summary)):
        lines = [
            [code(line.name) if line.method else escape(line.name), *(escape(cell.text) for cell in line.cells)]
            for line in table.lines
        ]
        parts += [f"**{escape(table.title)}**", grid(["method", *map(heading_cell, table.header)], lines)]
    parts.append(items("", [*notes(summary), *summary.sentences]))
    for title, sentences in (
        ("Runs without a result:", remarks.errors(summary)),
        ("Warnings:", summary.warnings),
        ("How the protocol was run:", summary.choices),
    ):
        parts.append(items(title, sentences))
    return "\n\n".join(part for part in parts if part) + "\n"

"""Results as GitHub Markdown, for a README, a documentation page or a model card."""

import re
from collections.abc import Sequence

from holdfast.records.summary import Reproduction, Row, Settings, Summary
from holdfast.report import published, remarks
from holdfast.report.further_metrics import TITLE as FURTHER
from holdfast.report.further_metrics import metric_table
from holdfast.report.luck import TITLE, luck_notes, luck_tables
from holdfast.report.representations import PRETRAINED, representation_tables
from holdfast.report.representations import TITLE as REPRESENTATION
from holdfast.report.table import cells, description, heading, overall_cells, overall_title, rows_of
from holdfast.report.text import clean, decimals, level
from holdfast.report.transfer import TITLE as TRANSFER
from holdfast.report.transfer import side_grid, side_notes, side_tables

_BAR = re.compile(r"(?<!\\)\|")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")


def markdown(summary: Summary) -> str:
    """Return the tables, the verdicts in words, warnings and missing runs of ``summary`` as GitHub Markdown."""
    settings = summary.settings
    parts = []
    for info in summary.tasks:
        parts += [
            f"**{escape(heading(info))}**. {escape(description(info, decimals(settings.delta)))}",
            table(rows_of(summary, info.task), settings),
        ]
        if further := metric_table(summary, info.task):
            lines = [[code(name), *line] for name, line in zip(further.methods, further.lines, strict=True)]
            parts += [f"{FURTHER.capitalize()}:", grid(["method", *map(escape, further.header)], lines)]
    if summary.overall:
        header = ["method", f"mean difference [{level(settings.alpha)} CI]", "tasks"]
        lines = []
        for overall in summary.overall:
            method, difference, between = overall_cells(overall, settings)
            lines.append([code(method), f"{difference} {between}", str(overall.tasks)])
        parts += [f"**{overall_title(summary)}**", grid(header, lines)]
    parts.append(items("", summary.sentences))
    for side in side_tables(summary):
        header, cells = side_grid(side)
        lines = [
            [code(line.name) if line.method else escape(line.name), *map(escape, own)]
            for line, own in zip(side.lines, cells, strict=True)
        ]
        parts += [f"**{TRANSFER}: {escape(side.task)}**", grid(["method", *map(heading_cell, header)], lines)]
    if summary.transfer:
        parts.append(items("", [*side_notes(summary), *summary.transfer_sentences]))
    if summary.reproduction:
        parts.append(beside(summary.reproduction))
    for found in representation_tables(summary):
        lines = [[code(method), *line] for method, line in zip(found.methods, found.lines, strict=True)]
        lines.append([escape(PRETRAINED), *found.start])
        title = f"{REPRESENTATION}: {escape(found.task)}, layer {found.layer}, the last"
        parts += [f"**{title}**", grid(["method", *found.header], lines)]
    for luck in luck_tables(summary):
        lines = [[code(method), *line] for method, line in zip(luck.methods, luck.lines, strict=True)]
        parts += [f"**{TITLE}: {escape(luck.task)}**", grid(["method", *luck.header], lines)]
    parts.append(items("", luck_notes(summary)))
    for title, sentences in (
        ("Runs without a result:", remarks.errors(summary)),
        ("Warnings:", remarks.warnings(summary)),
    ):
        parts.append(items(title, sentences))
    return "\n\n".join(part for part in parts if part) + "\n"


def beside(reproduction: Reproduction) -> str:
    """Return the paper's numbers beside the measured ones, and what to read them with."""
    rows = reproduction.rows
    lines = [
        [escape(name), *map(escape, line)]
        for name, line in zip(published.names(rows), published.lines(rows), strict=True)
    ]
    return "\n\n".join(
        [
            f"**{published.TITLE}**. {escape(published.about(reproduction))}",
            *([grid(["method", *published.HEADER], lines)] if rows else []),
            items("", published.notes(reproduction)),
        ]
    )


def heading_cell(text: str) -> str:
    """Return a heading of several lines as a cell."""
    return "<br>".join(escape(line) for line in text.split("\n"))


def items(title: str, sentences: Sequence[str]) -> str:
    """Return sentences as a list under ``title``, which may be empty; nothing without sentences."""
    items = "\n".join(f"- {escape(sentence)}" for sentence in sentences)
    return f"{title}\n\n{items}".strip() if sentences else ""


def table(rows: list[Row], settings: Settings) -> str:
    """Return the results of one task as a Markdown table."""
    header = ["method", "runs", "mean ± std", "worst–best", f"difference [{level(settings.alpha)} CI]"]
    header += ["P(ahead)", "verdict", "cost"]
    lines = []
    for row in (cells(row, settings) for row in rows):
        trained = f"<br>trained {row.trained}" if row.trained else ""
        trained_difference = f"<br>trained {row.trained_difference}" if row.trained_difference else ""
        line = [code(row.method), ", ".join([row.runs, *row.troubles]), row.spread + trained, row.range]
        line += [f"{row.difference} {row.interval}".strip() + trained_difference, row.ahead]
        lines.append([*line, f"**{row.verdict}**" if row.verdict in ("better", "worse") else row.verdict, row.cost])
    return grid(header, lines)


def escape(text: str) -> str:
    """Return ``text`` on one line so that Markdown shows it as it is."""
    return _SPECIAL.sub(r"\\\1", clean(text))


def code(text: str) -> str:
    """Return ``text`` as a code span, whatever is in it."""
    inner = clean(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", inner)), default=0))
    pad = " " if inner.startswith("`") or inner.endswith("`") or not inner else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def grid(header: list[str], lines: list[list[str]]) -> str:
    """Return a table of cells in Markdown; all columns but the first are aligned to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    # A bar ends a cell even inside a code span.
    return "\n".join(
        "| " + " | ".join(_BAR.sub(r"\\|", cell) for cell in line) + " |" for line in [header, rule, *lines]
    )

"""The page's parts in HTML: tables, lists, figures. Everything from outside is escaped here."""

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from holdfast.records.summary import Reproduction, SequenceSummary, Summary, TaskInfo
from holdfast.report import published
from holdfast.report.figures.style import Panel, colour, dash, symbol
from holdfast.report.further_metrics import TITLE as FURTHER
from holdfast.report.further_metrics import metric_table
from holdfast.report.luck import luck_tables
from holdfast.report.marked import Marked
from holdfast.report.representations import PRETRAINED, representation_tables
from holdfast.report.table import (
    Cells,
    cells,
    description,
    heading,
    method_order,
    overall_cells,
    overall_title,
    rows_of,
)
from holdfast.report.text import breakable, clean, decimals, level
from holdfast.report.transfer import TITLE as TRANSFER
from holdfast.report.transfer import side_tables

_DASH = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
_SHAPES = {
    "circle": "M16 3a5 5 0 1 0 .01 0z",
    "square": "M11 3h10v10h-10z",
    "diamond": "M16 2l6 6-6 6-6-6z",
    "triangle-up": "M16 2l6 11h-12z",
    "cross": "M14 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "x": "M12 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
}


def text(value: str) -> str:
    """Return ``value`` on one line, escaped for HTML text and quoted attributes."""
    return html.escape(clean(value), quote=True)


def name(value: str) -> str:
    """Return a method's name, escaped, with places where it may break."""
    return f"<code>{'<wbr>'.join(html.escape(piece) for piece in breakable(value))}</code>"


def items(lines: Iterable[str]) -> str:
    """Return a list of sentences; nothing when there are none."""
    listed = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>{listed}</ul>" if listed else ""


def section(title: str, *parts: str, intro: str = "") -> str:
    """Return a titled section; nothing when it would be empty."""
    body = "\n".join(part for part in parts if part)
    said = f"<p>{intro}</p>\n" if intro else ""
    return f"<section>\n<h2>{text(title)}</h2>\n{said}{body}\n</section>" if body else ""


def results(summary: Summary) -> str:
    """Return one table a task, then the means over the tasks."""
    digits = decimals(summary.settings.delta)
    parts = []
    for info in summary.tasks:
        caption = f"<h3>{text(heading(info))}</h3>\n<p class=quiet>{text(description(info, digits))}</p>"
        parts.append(f"{caption}\n{_result_table(summary, info)}")
        if further := metric_table(summary, info.task):
            found = zip(further.methods, further.lines, strict=True)
            numbers = [("", [name(method), *map(text, line)]) for method, line in found]
            parts.append(f"<p class=quiet>{FURTHER.capitalize()}:</p>\n{table(['method', *further.header], numbers)}")
    if summary.overall:
        header = ["method", f"mean difference [{level(summary.settings.alpha)} CI]", "tasks"]
        lines = []
        for overall in summary.overall:
            method, difference, between = overall_cells(overall, summary.settings)
            lines.append(("", [name(method), text(f"{difference} {between}"), str(overall.tasks)]))
        parts.append(f"<h3>{overall_title(summary)}</h3>\n{table(header, lines)}")
    return "\n".join(parts)


def _result_table(summary: Summary, info: TaskInfo) -> str:
    header = ["method", "runs", "mean ± std", "worst–best", f"difference [{level(summary.settings.alpha)} CI]"]
    header += ["P(ahead)", "verdict", "training time", "cost"]
    lines = []
    for row in rows_of(summary, info.task):
        kind = row.verdict.replace(" ", "-")
        lines.append((kind, _result_line(cells(row, summary.settings), kind)))
    return table(header, lines, verdicts=True)


def _result_line(row: Cells, kind: str) -> list[str]:
    trained = f"<br><small>trained {row.trained}</small>" if row.trained else ""
    difference = f"{row.difference} {row.interval}".strip()
    if row.trained_difference:
        difference += f"<br><small>trained {row.trained_difference}</small>"
    ahead = row.ahead + (f"<br><small>{row.ahead_interval}</small>" if row.ahead_interval else "")
    return [
        name(row.method),
        "<br>".join([row.runs, *(f"<small>{trouble}</small>" for trouble in _troubles(row))]),
        f"{row.spread}{trained}",
        row.range,
        difference,
        ahead,
        f'<span class="verdict {kind}">{row.verdict}</span>',
        row.seconds,
        row.cost,
    ]


def _troubles(row: Cells) -> list[str]:
    rate = [f"{row.failure_rate} fail"] if row.failure_rate else []
    return [*row.troubles, *rate]


def luck(summary: Summary) -> str:
    """Return one table a task of what its runs differ in; nothing where no method has two runs."""
    parts = []
    for found in luck_tables(summary):
        lines = [
            ("", [name(method), *map(text, line)]) for method, line in zip(found.methods, found.lines, strict=True)
        ]
        parts.append(f"<h3>{text(found.task)}</h3>\n{table(['method', *found.header], lines)}")
    return "\n".join(parts)


def sides(summary: Summary) -> str:
    """Return one table a task of its score beside all others; nothing where models were scored on nothing else."""
    parts = []
    for side in side_tables(summary):
        header = ["method", *(["training rows"] if side.sized else []), *(column.words for column in side.columns)]
        lines = []
        for line in side.lines:
            head = name(line.name) if line.method else text(line.name)
            rows = [line.rows] if side.sized else []
            lines.append(("" if line.method else "quiet", [head, *rows, *map(marked, line.cells)]))
        parts.append(f"<h3>{text(side.task)}</h3>\n{wide(table(header, lines), f'{TRANSFER}: {side.task}')}")
    return "\n".join(parts)


def marked(cell: Marked) -> str:
    """Return a cell with the mark of its verdict, which is read out in words."""
    kind = (cell.verdict or "").replace(" ", "-")
    sign = f'<span class="sign {kind}" role="img" aria-label="{cell.verdict}">{cell.mark}</span> ' if cell.mark else ""
    return f"{sign}{text(cell.mean)}" + (f"<br><small>± {text(cell.std)}</small>" if cell.std else "")


def wide(markup: str, label: str) -> str:
    """Return a table that may be wider than the page and then scrolls, by keyboard too."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{text(label)}">\n{markup}\n</div>'


def beside(reproduction: Reproduction | None) -> str:
    """Return the paper's numbers beside the measured ones; nothing for a study that follows no recipe."""
    if reproduction is None:
        return ""
    rows = reproduction.rows
    shown = [
        ("", [name(one), *map(text, line)])
        for one, line in zip(published.names(rows), published.lines(rows), strict=True)
    ]
    numbers = wide(table(["method", *published.HEADER], shown), published.TITLE) if rows else ""
    return (
        f"<p class=quiet>{text(published.about(reproduction))}</p>\n{numbers}\n{items(published.notes(reproduction))}"
    )


def representations(summary: Summary) -> str:
    """Return one table a task of its models' last layer; nothing where none was measured."""
    parts = []
    for found in representation_tables(summary):
        lines = [
            ("", [name(method), *map(text, line)]) for method, line in zip(found.methods, found.lines, strict=True)
        ]
        lines.append(("quiet", [text(PRETRAINED), *map(text, found.start)]))
        title = text(f"{found.task}: layer {found.layer}, the last")
        parts.append(f"<h3>{title}</h3>\n{table(['method', *found.header], lines)}")
    return "\n".join(parts)


def table(
    header: Sequence[str],
    lines: Iterable[tuple[str, Sequence[str]]],
    *,
    prose: bool = False,
    verdicts: bool = False,
) -> str:
    """Return a table of ``lines``, each its class and its cells in HTML; the first cell of a line heads it.

    ``prose``: cells hold sentences and not numbers; ``verdicts``: the seventh column holds verdicts.
    """
    kind = "results" if verdicts else "prose" if prose else "numbers"
    # The roles keep it a table for screen readers where the style sheet lays it out as cards on a narrow page.
    head = "".join(f'<th scope="col" role="columnheader">{text(cell)}</th>' for cell in header)
    body = ""
    for state, line in lines:
        first = f'<th scope="row" role="rowheader">{line[0]}</th>'
        rest = "".join(
            f'<td role="cell" data-label="{text(label)}"><span>{cell}</span></td>' if cell else '<td role="cell"></td>'
            for label, cell in zip(header[1:], line[1:], strict=True)
        )
        body += f'<tr role="row" class="{state}">{first}{rest}</tr>\n'
    return (
        f'<table role="table" class="{kind}">\n'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}</tbody>\n</table>'
    )


def pairs(values: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a definition list."""
    listed = "".join(f"<div><dt>{text(key)}</dt><dd>{text(value)}</dd></div>" for key, value in values)
    return f"<dl>{listed}</dl>"


def figures(panels: Sequence[Panel], prefix: str) -> str:
    """Return figures side by side where the page is wide enough; ``prefix`` tells this group's from others."""
    return f'<div class="grid">{"".join(_figure(panel, f"{prefix}-{i}") for i, panel in enumerate(panels))}</div>'


def _figure(panel: Panel, key: str) -> str:
    height = panel.figure["layout"]["height"]
    said = f"<p class=quiet>{text(panel.note)}</p>" if panel.note else ""
    return (
        f"<figure>\n<figcaption>{text(panel.title)}</figcaption>\n"
        f'<div class="plot" id="{key}" role="img" aria-label="{text(panel.alt)}" style="height:{height:g}px"></div>\n'
        f'<script type="application/json" data-plot="{key}">{data(panel.figure)}</script>\n{said}</figure>\n'
    )


def data(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    written = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def key(summary: Summary | SequenceSummary) -> str:
    """Return the methods with their marks as buttons that show and hide them in the section's figures."""
    buttons = ""
    for method, index in method_order(summary).items():
        line = f'<path d="M0 8h32" stroke-width="2.5" stroke-dasharray="{_DASH[dash(index)]}"/>'
        mark = f'<path d="{_SHAPES[symbol(index)]}" class="mark"/>'
        swatch = f'<svg class="c{_colour_class(index)}" width="32" height="16" aria-hidden="true">{line}{mark}</svg>'
        buttons += f'<button type="button" aria-pressed="true" data-method="{index}">{swatch} {name(method)}</button>\n'
    return f'<div class="key" role="group" aria-label="Methods shown">\n{buttons}</div>'


def _colour_class(index: int) -> str:
    return colour(index).removeprefix("#")

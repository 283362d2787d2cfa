"""Blocks as HTML. Everything from outside is escaped here."""

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from holdfast.report.block import Block, Cell, Details, Figures, Heading, Row, Table
from holdfast.report.figures.style import Panel, colour, dash, symbol
from holdfast.wording import breakable, clean

_DASH = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
_SHAPES = {
    "circle": "M16 3a5 5 0 1 0 .01 0z",
    "square": "M11 3h10v10h-10z",
    "diamond": "M16 2l6 6-6 6-6-6z",
    "triangle-up": "M16 2l6 11h-12z",
    "cross": "M14 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "x": "M12 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
}


def sections(blocks: Iterable[Block]) -> str:
    """Return each block as a section with a heading of its own."""
    written = ((block, _inside(block, 2)) for block in blocks)
    return "\n".join(
        f"<section{' class=lead' if block.lead else ''}>\n{_title(block, 2)}{body}\n</section>"
        for block, body in written
        if body
    )


def _title(block: Block, level: int) -> str:
    title = f"<h{level}>{text(block.title)}</h{level}>\n" if block.title else ""
    quiet = "" if level == 2 else " class=quiet"
    return title + (f"<p{quiet}>{text(block.intro)}</p>\n" if block.intro else "")


def _inside(block: Block, level: int) -> str:
    """What stands below a block's title, in headings from ``level`` + 1 on; nothing where it is empty."""
    table = _table(block.table, block.title) if block.table else ""
    parts = [(part, _inside(part, level + 1)) for part in block.parts]
    pieces = [
        table,
        *(_title(part, level + 1) + body for part, body in parts if body),
        _facts(block.facts),
        items(block.notes),
        _figures(block.figures) if block.figures else "",
        *map(_details, block.details),
    ]
    return "\n".join(piece for piece in pieces if piece)


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


def data(value: Any) -> str:
    """Return JSON that cannot end the script element it stands in."""
    written = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    listed = "".join(f"<div><dt>{text(key)}</dt><dd>{text(value)}</dd></div>" for key, value in facts)
    return f"<dl>{listed}</dl>" if listed else ""


def _details(details: Details) -> str:
    return f"<details>\n<summary>{text(details.title)}</summary>\n{items(details.notes)}\n</details>"


def _table(table: Table, title: str) -> str:
    # The roles keep it a table for screen readers where the style sheet lays it out as cards on a narrow page.
    titles = [" ".join(heading.text.split()) for heading in table.headings]
    head = "".join(
        f'<th scope="col" role="columnheader"{_side(heading)}>{text(title)}</th>'
        for heading, title in zip(table.headings, titles, strict=True)
    )
    body = "".join(_row(row, table, titles) for row in table.rows)
    written = (
        f'<table role="table">\n<thead role="rowgroup"><tr role="row">{head}</tr></thead>\n'
        f'<tbody role="rowgroup">\n{body}</tbody>\n</table>'
    )
    if not table.many:
        return written
    # It scrolls, by keyboard too.
    return f'<div class="wide" role="region" tabindex="0" aria-label="{text(title)}">\n{written}\n</div>'


def _row(row: Row, table: Table, titles: Sequence[str]) -> str:
    shown = text(row.name) if row.kind in ("reference", "text") else name(row.name)
    cells = f'<th scope="row" role="rowheader">{shown}</th>'
    for heading, title, cell in zip(table.headings[1:], titles[1:], row.cells, strict=True):
        written = _cell(cell, heading, table.many)
        cells += (
            f'<td role="cell" data-label="{text(title)}"{_side(heading)}><span>{written}</span></td>'
            if written
            else '<td role="cell"></td>'
        )
    return f'<tr role="row" class="{row.kind}">{cells}</tr>\n'


def _side(heading: Heading) -> str:
    return ' class="left"' if heading.align == "left" else ""


def _cell(cell: Cell, heading: Heading, narrow: bool) -> str:
    """A cell with the mark of its verdict, which is read out in words; ``narrow``: the spread has a line of its own."""
    kind = (cell.verdict or "").replace(" ", "-")
    shown = text(cell.text)
    if narrow and " ± " in shown:
        mean, std = shown.split(" ± ", 1)
        shown = f"{mean}<br><small>± {std}</small>"
    if heading.beside:
        shown = f'<span class="verdict {kind}">{shown}</span>'
    elif cell.mark:
        shown = f'<span class="sign {kind}" role="img" aria-label="{cell.verdict}">{cell.mark}</span> {shown}'
    return shown + "".join(f"<br><small>{text(line)}</small>" for line in (*cell.below, *cell.aside))


def _figures(figures: Figures) -> str:
    """Figures side by side where the page is wide enough."""
    panels = figures.panels()
    if not panels:
        return ""
    said = f"<p>{text(figures.intro)}</p>\n" if figures.intro else ""
    drawn = "".join(_figure(panel, f"{figures.name}-{i}") for i, panel in enumerate(panels))
    return f'{said}{_key(figures.methods)}<div class="grid">{drawn}</div>'


def _figure(panel: Panel, key: str) -> str:
    height = panel.figure["layout"]["height"]
    said = f"<p class=quiet>{text(panel.note)}</p>" if panel.note else ""
    return (
        f"<figure>\n<figcaption>{text(panel.title)}</figcaption>\n"
        f'<div class="plot" id="{key}" role="img" aria-label="{text(panel.alt)}" style="height:{height:g}px"></div>\n'
        f'<script type="application/json" data-plot="{key}">{data(panel.figure)}</script>\n{said}</figure>\n'
    )


def _key(methods: Sequence[str]) -> str:
    """The methods with their marks as buttons that show and hide them in the section's figures."""
    buttons = ""
    for index, method in enumerate(methods):
        line = f'<path d="M0 8h32" stroke-width="2.5" stroke-dasharray="{_DASH[dash(index)]}"/>'
        mark = f'<path d="{_SHAPES[symbol(index)]}" class="mark"/>'
        swatch = (
            f'<svg class="c{colour(index).removeprefix("#")}" width="32" height="16" aria-hidden="true">'
            f"{line}{mark}</svg>"
        )
        buttons += f'<button type="button" aria-pressed="true" data-method="{index}">{swatch} {name(method)}</button>\n'
    return f'<div class="key" role="group" aria-label="Methods shown">\n{buttons}</div>' if methods else ""

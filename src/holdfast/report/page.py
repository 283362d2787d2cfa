"""A report as one HTML file that needs nothing else: no server, no network."""

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from holdfast.errors import HoldfastError
from holdfast.report.block import Report
from holdfast.report.figures.style import BAND, COLOURS, DARK, GRID, INK, MUTED, PAPER
from holdfast.report.html import data, sections, text
from holdfast.study.store.atomic import write_text


def write_page(report: Report, path: Path) -> None:
    """Write ``report`` to ``path``, whole or not at all. Raises ``HoldfastError`` when the file cannot be written."""
    try:
        write_text(path, page(report))
    except OSError as error:
        raise HoldfastError(f"cannot write the report {path}: {error.strerror}; choose a writable folder") from error


def page(report: Report) -> str:
    """Return ``report`` as HTML, with its figures drawn by a script of its own."""
    from plotly.offline import get_plotlyjs

    folder = files("holdfast.report")
    template = (folder / "page.html").read_text(encoding="utf-8")
    plotly = get_plotlyjs()
    own = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)[-1]
    return Template(template).substitute(
        # Only the page's own two scripts may run, whatever a name or a message holds.
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in (plotly, own)),
        title=text(report.title),
        lead=text(report.lead),
        css=_colours() + (folder / "page.css").read_text(encoding="utf-8"),
        body=sections(report.blocks),
        foot=text(report.foot),
        dark=data(DARK),
        plotly=plotly,
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _colours() -> str:
    """The colours of the figures as CSS variables and classes, light and dark."""
    named = {"ink": INK, "muted": MUTED, "grid": GRID, "band": BAND, "paper": PAPER}
    named |= {colour.removeprefix("#"): colour for colour in COLOURS}
    light = "".join(f"--{name}:{colour};" for name, colour in named.items())
    dark = "".join(f"--{name}:{DARK[colour]};" for name, colour in named.items())
    classes = "".join(f".c{name}{{color:var(--{name})}}" for name in named)
    return f":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{classes}\n"

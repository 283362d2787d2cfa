"""What every page is made of: one HTML file that needs nothing else, no server, no network."""

import base64
import hashlib
import re
from importlib.resources import files
from string import Template

from holdfast.report.figures.style import BAND, COLOURS, DARK, GRID, INK, MUTED, PAPER
from holdfast.report.sections import data, text


def html_page(title: str, lead: str, body: str, foot: str) -> str:
    """Return a page. ``body`` is HTML, the rest is text."""
    from plotly.offline import get_plotlyjs

    folder = files("holdfast.report")
    template = (folder / "page.html").read_text(encoding="utf-8")
    plotly = get_plotlyjs()
    own = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)[-1]
    return Template(template).substitute(
        # Only the page's own two scripts may run, whatever a name or a message holds.
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in (plotly, own)),
        title=text(title),
        lead=text(lead),
        css=_colours() + (folder / "page.css").read_text(encoding="utf-8"),
        body=body,
        foot=text(foot),
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

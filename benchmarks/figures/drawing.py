"""How figures are saved."""

from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure


def save(figure: Figure, to: Path) -> None:
    """Write ``figure``, the same bytes for the same data."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "holdfast"}):
        figure.savefig(to, metadata={"Date": None})

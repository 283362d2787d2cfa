"""``holdfast stability synthetic``: the bounds beside what is measured, on hundreds of generated sets."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import options as o
from holdfast.errors import HoldfastError

_OUT = Path("holdfast-stability")


def synthetic(
    sets: Annotated[int, typer.Option(help="Generated sets that are measured.")] = 300,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all draws.")] = 0,
    out: Annotated[Path, o.option(f"Folder for synthetic.html and synthetic.json. Default: {_OUT}.")] = _OUT,
) -> None:
    """Measure how stable head tuning is on generated sets, beside its bounds.

    Each set is two classes of Gaussian features. Measured is how far the head moves when one row is left out, exactly,
    and how far heads of several seeds end apart. Rank correlations tell with which of sample size, margin, dimension,
    steps, learning rate and heads that falls or rises. synthetic.html shows all of it, synthetic.json holds it.
    300 sets take about a minute.

    \b
    Examples:
      holdfast stability synthetic
      holdfast stability synthetic --sets 1000 --seed 1 --out thousand-sets
    """
    _check_folder(out)
    from rich.console import Console

    from holdfast.cli.display import one_bar
    from holdfast.report.synthetic.page import write_synthetic
    from holdfast.report.synthetic.terminal import render_synthetic
    from holdfast.report.terminal import put
    from holdfast.stability.synthetic_results import synthetic_results

    with one_bar("sets") as move:

        def show(done: int) -> None:
            move(f"{done}/{sets} measured" + (", simulations" if done == sets else ""), done, sets)

        show(0)
        results = synthetic_results(sets, seed=seed, progress=show)
    put(Console(), render_synthetic(results), write_synthetic(results, out))


def _check_folder(folder: Path) -> None:
    """Refuse, before a minute is spent, a folder that cannot be made."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return
        if place.exists():
            raise HoldfastError(f"--out {folder}: {place} is a file; give a folder")

"""A synthetic study on a terminal: the rank correlations, and what they say."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from holdfast.report.synthetic.findings import findings
from holdfast.report.synthetic.numbers import NAMES, find, rho
from holdfast.report.terminal import item
from holdfast.stability.synthetic import BOUNDS, FACTORS, SyntheticStudy
from holdfast.stability.synthetic_results import SyntheticResults
from holdfast.wording import count

_SHOWN = ("leave_one_out", "seed_spread", "shared_bound", "bound")


def render_synthetic(results: SyntheticResults) -> RenderableType:
    """Return ``results`` for Rich's ``console.print``; the table is 77 columns wide."""
    study = results.study
    return Group(
        Text(f"Rank correlations over {count(len(study.sets), 'generated set')}, 95 % intervals", style="bold"),
        Text(),
        _table(study),
        Text(),
        *map(item, findings(results)),
    )


def _table(study: SyntheticStudy) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("")
    table.add_column("ρ alone", justify="right", no_wrap=True)
    table.add_column("others held constant", justify="right", no_wrap=True)
    for measure in _SHOWN:
        table.add_row(Text(NAMES[measure].capitalize(), style="bold"))
        for factor in FACTORS:
            alone, held = (rho(find(study, factor, measure, held=one)) for one in (False, True))
            table.add_row(Text(f"  {NAMES[factor]}"), Text(alone), Text(held))
        table.add_section()
    table.add_row(Text("Leave-one-out distance and", style="bold"))
    for bound in reversed(BOUNDS):
        table.add_row(Text(f"  {NAMES[bound]}"), Text(rho(find(study, bound, "leave_one_out", held=False))))
    return table

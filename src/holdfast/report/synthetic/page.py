"""The page of a synthetic study: one HTML file that needs nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from holdfast.report.block import Block, Cell, Figures, Heading, Report, Row, Table
from holdfast.report.page import page
from holdfast.report.synthetic.figures import bound_panels, factor_panels, simulation_panels
from holdfast.report.synthetic.findings import findings
from holdfast.report.synthetic.numbers import NAMES, find, number, rho, slope
from holdfast.report.synthetic.provenance import PAPER, REDERIVED, choices, expected
from holdfast.stability.simulations import Simulations
from holdfast.stability.synthetic import BOUNDS, FACTORS, SyntheticStudy
from holdfast.stability.synthetic_results import SyntheticResults
from holdfast.study.store.atomic import write_text
from holdfast.wording import count

_MAIN = ("leave_one_out", "seed_spread", "shared_bound", "bound")
_FURTHER = ("leave_one_out_max", "accuracy_spread", "margin_gap")

_MEASURED = (
    "Head tuning: a linear classifier, or the mean of several, trained by gradient descent on features that stay as "
    "they are. Its leave-one-out distance is how far the normalised weights move when one training row is left out: "
    "0 is stable, 2 the most there can be. Its seed spread is the standard deviation of the normalised weights over "
    "initialisations.",
    "Sample size, margin, dimension, steps, learning rate and heads are drawn anew for each set. A rank correlation ρ "
    "tells whether a measure falls (−1) or rises (+1) with one of them; with the others held constant it tells what "
    "is left when their part in both is taken out.",
)


def synthetic_report(results: SyntheticResults) -> Report:
    """Return what the page holds."""
    study = results.study
    return Report(
        tuple(_blocks(results)),
        title="How stable is tuning, and what do the bounds tell of it?",
        lead=f"{count(len(study.sets), 'generated classification set')}, seed {study.seed}: what changes when one row "
        "is left out or another seed is taken, measured, beside the bounds of Fu, So & Collier (2023)",
        foot=f"Made by Holdfast {results.holdfast}.",
    )


def _blocks(results: SyntheticResults) -> list[Block]:
    study, simulations = results.study, results.simulations
    return [
        Block("What is measured", notes=_MEASURED),
        Block("What this run shows", notes=tuple(findings(results))),
        Block(
            "What theory lets expect",
            intro="The paper's statements are about leaving a row out; the seed spread is what a user meets.",
            table=_table(("statement", "whose", "seen in this run"), expected(results), "left"),
        ),
        Block(
            "Rank correlations",
            intro="First line: the rank correlation alone; second: with the other factors held constant. 95 % "
            "intervals.",
            table=_against(study, _MAIN),
            parts=(
                Block("Further measures", table=_against(study, _FURTHER)),
                Block("Measured and bound", table=_bounds(study)),
            ),
        ),
        Block(
            "Leave-one-out distance measured",
            figures=Figures(
                "left",
                lambda: factor_panels(study, "leave_one_out"),
                intro="A point is a set, and its value the mean over its rows.",
            ),
        ),
        Block(
            "Bound beside measurement",
            figures=Figures(
                "bound",
                lambda: bound_panels(study),
                intro="Without values for its constants a bound can show an order at most, and to compare sets the "
                "constants must be the same for all: a set's own λ takes the n away, and its ν = 2γ outweighs the "
                "rest of the margin.",
            ),
        ),
        Block(
            "Seed spread measured",
            figures=Figures(
                "seed",
                lambda: factor_panels(study, "seed_spread"),
                intro=f"Over {study.ranges.seeds} initialisations of each set.",
            ),
        ),
        Block(
            "One thing varied at a time",
            parts=(_quadratics(simulations), _heads(simulations), _head_tuning(simulations)),
            figures=Figures("simulation", lambda: simulation_panels(simulations)),
        ),
        Block(
            "What the paper states",
            intro="As told by its abstract and a published summary of it; its body could not be read.",
            notes=PAPER,
        ),
        Block("What is re-derived", intro="Not checked against the paper's text.", notes=REDERIVED),
        Block("What is our choice", notes=tuple(choices(study))),
        Block("Settings", facts=tuple(_settings(study))),
    ]


def _table(
    header: Sequence[str], lines: Iterable[Sequence[str | Cell]], align: Literal["left", "right"] = "right"
) -> Table:
    headings = (Heading(header[0], "left"), *(Heading(one, align) for one in header[1:]))
    rows = (
        Row(str(name), tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells), "text")
        for name, *cells in lines
    )
    return Table(headings, tuple(rows))


def _against(study: SyntheticStudy, measures: Sequence[str]) -> Table:
    lines: list[list[str | Cell]] = [
        [NAMES[factor], *(_cell(study, factor, one) for one in measures)] for factor in FACTORS
    ]
    return _table(["against", *(NAMES[one] for one in measures)], lines)


def _cell(study: SyntheticStudy, factor: str, measure: str) -> Cell:
    alone, held = (rho(find(study, factor, measure, held=one)) for one in (False, True))
    return Cell(alone, (held,))


def _bounds(study: SyntheticStudy) -> Table:
    bounds = list(reversed(BOUNDS))
    lines = [
        [NAMES[measure], *(rho(find(study, bound, measure, held=False)) for bound in bounds)]
        for measure in ("leave_one_out", "leave_one_out_max", "seed_spread")
    ]
    return _table(["measure", *(NAMES[one] for one in bounds)], lines)


def _quadratics(simulations: Simulations) -> Block:
    sweep = simulations.quadratics
    lines = [
        [f"{n:g}", number(measured), number(bound), number(bound / measured), number(n * measured)]
        for n, measured, bound in zip(sweep.values, sweep.means, simulations.quadratic_bounds, strict=True)
    ]
    header = ["n", "largest mean distance", "bound", "bound / measured", "n × distance"]
    return Block(f"Full tuning of quadratics: slope {slope(sweep.slope)}", table=_table(header, lines))


def _heads(simulations: Simulations) -> Block:
    total, mean = simulations.heads_sum, simulations.heads_mean
    first = total.means[0]
    lines = [
        [f"{h:g}", number(one), number(other), number(first / h**0.5)]
        for h, one, other in zip(total.values, total.means, mean.means, strict=True)
    ]
    header = ["heads H", "sum of losses", "mean of losses", "first × 1/√H"]
    return Block("Seed spread of the mean of H heads", table=_table(header, lines))


def _head_tuning(simulations: Simulations) -> Block:
    lines = [
        [name if place == 0 else "", f"{value:g}", number(measured), slope(sweep.slope) if place == 0 else ""]
        for name, sweep in (
            ("sample size", simulations.rows),
            ("distance of the class centres", simulations.centre_distance),
            ("steps, a wide gap between the classes", simulations.steps_clear),
            ("steps, next to no gap", simulations.steps_noisy),
        )
        for place, (value, measured) in enumerate(zip(sweep.values, sweep.means, strict=True))
    ]
    header = ["varied", "value", "leave-one-out distance", "slope [95 % CI]"]
    return Block("Head tuning", table=_table(header, lines))


def _settings(study: SyntheticStudy) -> list[tuple[str, str]]:
    values = [("sets", str(len(study.sets))), ("drawn", str(study.drawn)), ("seed", str(study.seed))]
    for name, value in study.ranges:
        shown = ", ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
        values.append((name.replace("_", " "), shown))
    return values


def write_synthetic(results: SyntheticResults, folder: Path) -> dict[str, Path]:
    """Write ``synthetic.json`` and ``synthetic.html`` into ``folder``, each whole or not at all; return both."""
    contents = {"report": ("synthetic.html", page(synthetic_report(results)))}
    contents["results"] = ("synthetic.json", results.model_dump_json(indent=1) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in contents.values():
        write_text(folder / name, written)
    return {what: folder / name for what, (name, _) in contents.items()}

"""The page of a synthetic study: one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.report.sections import figures, items, pairs, section, table, text
from holdfast.report.shell import html_page
from holdfast.report.synthetic.figures import bound_panels, factor_panels, simulation_panels
from holdfast.report.synthetic.findings import findings
from holdfast.report.synthetic.numbers import NAMES, find, number, rho, slope
from holdfast.report.synthetic.provenance import PAPER, REDERIVED, choices, expected
from holdfast.report.text import count
from holdfast.stability.simulations import Simulations
from holdfast.stability.synthetic import BOUNDS, FACTORS, SyntheticStudy
from holdfast.stability.synthetic_results import SyntheticResults
from holdfast.study.store.atomic import write_text

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


def synthetic_page(results: SyntheticResults) -> str:
    """Return the page as HTML."""
    study = results.study
    lead = (
        f"{count(len(study.sets), 'generated classification set')}, seed {study.seed}: what changes when one row is "
        "left out or another seed is taken, measured, beside the bounds of Fu, So & Collier (2023)"
    )
    return html_page(
        "How stable is tuning, and what do the bounds tell of it?",
        lead,
        _body(results),
        f"Made by Holdfast {results.holdfast}.",
    )


def _body(results: SyntheticResults) -> str:
    study, simulations = results.study, results.simulations
    held = "First line: the rank correlation alone; second: with the other factors held constant. 95 % intervals."
    return "\n".join(
        [
            section("What is measured", *(f"<p>{text(line)}</p>" for line in _MEASURED)),
            section("What this run shows", items(findings(results))),
            section(
                "What theory lets expect",
                _expected(results),
                intro="The paper's statements are about leaving a row out; the seed spread is what a user meets.",
            ),
            section("Rank correlations", _correlations(study), intro=held),
            section(
                "Leave-one-out distance measured",
                figures(factor_panels(study, "leave_one_out"), "left"),
                intro="A point is a set, and its value the mean over its rows.",
            ),
            section(
                "Bound beside measurement",
                figures(bound_panels(study), "bound"),
                intro="Without values for its constants a bound can show an order at most, and to compare sets the "
                "constants must be the same for all: a set's own λ takes the n away, and its ν = 2γ outweighs the "
                "rest of the margin.",
            ),
            section(
                "Seed spread measured",
                figures(factor_panels(study, "seed_spread"), "seed"),
                intro=f"Over {study.ranges.seeds} initialisations of each set.",
            ),
            section(
                "One thing varied at a time",
                figures(simulation_panels(simulations), "simulation"),
                _quadratics(simulations),
                _heads(simulations),
                _head_tuning(simulations),
            ),
            section(
                "What the paper states",
                items(PAPER),
                intro="As told by its abstract and a published summary of it; its body could not be read.",
            ),
            section("What is re-derived", items(REDERIVED), intro="Not checked against the paper's text."),
            section("What is our choice", items(choices(study))),
            section("Settings", pairs(_settings(study))),
        ]
    )


def _expected(results: SyntheticResults) -> str:
    lines = [("", [text(cell) for cell in line]) for line in expected(results)]
    return table(["statement", "whose", "seen in this run"], lines, prose=True)


def _correlations(study: SyntheticStudy) -> str:
    def lines(measures: Sequence[str]) -> list[tuple[str, list[str]]]:
        return [("", [text(NAMES[factor]), *(_cell(study, factor, one) for one in measures)]) for factor in FACTORS]

    against = [
        (
            "",
            [text(NAMES[measure]), *(text(rho(find(study, bound, measure, held=False))) for bound in reversed(BOUNDS))],
        )
        for measure in ("leave_one_out", "leave_one_out_max", "seed_spread")
    ]
    parts = [
        ("", table(["against", *(NAMES[one] for one in _MAIN)], lines(_MAIN))),
        ("Further measures", table(["against", *(NAMES[one] for one in _FURTHER)], lines(_FURTHER))),
        ("Measured and bound", table(["measure", *(NAMES[one] for one in reversed(BOUNDS))], against)),
    ]
    return "\n".join((f"<h3>{text(title)}</h3>\n" if title else "") + written for title, written in parts)


def _cell(study: SyntheticStudy, factor: str, measure: str) -> str:
    alone, held = (rho(find(study, factor, measure, held=one)) for one in (False, True))
    return f"{text(alone)}<br><small>{text(held)}</small>"


def _quadratics(simulations: Simulations) -> str:
    sweep = simulations.quadratics
    lines = [
        ("", [f"{n:g}", number(measured), number(bound), number(bound / measured), number(n * measured)])
        for n, measured, bound in zip(sweep.values, sweep.means, simulations.quadratic_bounds, strict=True)
    ]
    header = ["n", "largest mean distance", "bound", "bound / measured", "n × distance"]
    return f"<h3>{text(f'Full tuning of quadratics: slope {slope(sweep.slope)}')}</h3>\n{table(header, lines)}"


def _heads(simulations: Simulations) -> str:
    total, mean = simulations.heads_sum, simulations.heads_mean
    first = total.means[0]
    lines = [
        ("", [f"{h:g}", number(one), number(other), number(first / h**0.5)])
        for h, one, other in zip(total.values, total.means, mean.means, strict=True)
    ]
    header = ["heads H", "sum of losses", "mean of losses", "first × 1/√H"]
    return f"<h3>Seed spread of the mean of H heads</h3>\n{table(header, lines)}"


def _head_tuning(simulations: Simulations) -> str:
    lines = []
    for name, sweep in (
        ("sample size", simulations.rows),
        ("distance of the class centres", simulations.centre_distance),
        ("steps, a wide gap between the classes", simulations.steps_clear),
        ("steps, next to no gap", simulations.steps_noisy),
    ):
        values = "<br>".join(f"{value:g}" for value in sweep.values)
        measured = "<br>".join(number(value) for value in sweep.means)
        lines.append(("", [text(name), values, measured, text(slope(sweep.slope))]))
    header = ["varied", "value", "leave-one-out distance", "slope [95 % CI]"]
    return f"<h3>Head tuning</h3>\n{table(header, lines)}"


def _settings(study: SyntheticStudy) -> list[tuple[str, str]]:
    values = [("sets", str(len(study.sets))), ("drawn", str(study.drawn)), ("seed", str(study.seed))]
    for name, value in study.ranges:
        shown = ", ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else str(value)
        values.append((name.replace("_", " "), shown))
    return values


def write_synthetic(results: SyntheticResults, folder: Path) -> dict[str, Path]:
    """Write ``synthetic.json`` and ``synthetic.html`` into ``folder``, each whole or not at all; return both."""
    contents = {"report": ("synthetic.html", synthetic_page(results))}
    contents["results"] = ("synthetic.json", results.model_dump_json(indent=1) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for name, written in contents.values():
        write_text(folder / name, written)
    return {what: folder / name for what, (name, _) in contents.items()}

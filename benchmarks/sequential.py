"""Error rates and power of the tests that may be looked at after every seed, by simulation, as Markdown tables.

    python benchmarks/sequential.py --repetitions 4000 --json sequential.json

Scores are normal with a standard deviation of 1, those of two methods with the same seed are correlated. Looks are
after every seed from 3 to 30. What is asked: how often a difference is declared where there is none, also where scores
are not what the tests assume; how soon one of 1 standard deviation is declared; after how many seeds a comparison is
settled either way; and how often halving finds the one method of several that is better.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from holdfast.study.statistics.boundaries import POCOCK, WANG_TSIATIS, nominal_levels
from holdfast.study.statistics.e_values import failure_e_value, gaussian_e_values, moment_e_values, moment_radius
from holdfast.study.statistics.halving import Rung, finalist_test, halving_rungs, kept_methods
from holdfast.study.statistics.prefixes import prefix_p_values, prefixes
from holdfast.study.statistics.significance import holm

Scores = NDArray[np.float64]
"""Shape (repetitions, methods, seeds); the baseline is the last method."""
Draw = Callable[[np.random.Generator, int, int, int], Scores]
"""From a generator and the three lengths."""

ALPHA = 0.05
CAP = 30
AFTER = (10, 20, 30)
"""Seeds after which the share of declared differences is told."""
SETTLE_CAP = 200
FAILED_AT = -12.0
"""Score of a failed run, in standard deviations of those that trained."""
STREAM = 202_611
"""Seed of all draws, with the number of the table's row."""
SHAPES = {"Wang-Tsiatis .25": WANG_TSIATIS, "Pocock": POCOCK}


def normal(generator: np.random.Generator, *shape: int, pairing: float = 0.0) -> Scores:
    """Runs with the same seed have correlation ``pairing``."""
    repetitions, _, seeds = shape
    common = generator.normal(size=(repetitions, 1, seeds))
    return pairing**0.5 * common + (1 - pairing) ** 0.5 * generator.normal(size=shape)


def unequal_spreads(generator: np.random.Generator, *shape: int) -> Scores:
    """The first method has three times the spread."""
    scores = normal(generator, *shape)
    scores[:, 0] *= 3
    return scores


def skewed(generator: np.random.Generator, *shape: int, methods: slice = slice(None)) -> Scores:
    """Reversed exponential, skewness -2, of the same mean and spread."""
    scores = normal(generator, *shape)
    scores[:, methods] = 1 - generator.exponential(size=scores[:, methods].shape)
    return scores


def tied(generator: np.random.Generator, *shape: int, spread: float = 1.0) -> Scores:
    """Scored on 100 rows: in points, whole ones, with a spread of so many."""
    return np.round(80 + spread * normal(generator, *shape))


def failing(generator: np.random.Generator, *shape: int) -> Scores:
    """10 % of the runs fail, of any method."""
    return np.where(generator.random(shape) < 0.1, FAILED_AT, normal(generator, *shape))


NULLS: dict[str, tuple[Draw, float]] = {
    "pairing 0": (normal, 0.0),
    "pairing .5": (partial(normal, pairing=0.5), 0.0),
    "pairing .8": (partial(normal, pairing=0.8), 0.0),
    "spreads 3:1": (unequal_spreads, 0.0),
    "skew in both": (skewed, 0.0),
    "skew in one": (partial(skewed, methods=slice(0, 1)), 0.0),
    "100 rows, SD 1 point": (tied, 1.0),
    "100 rows, SD .3 points": (partial(tied, spread=0.3), 1.0),
    "10 % fail in both": (failing, 0.0),
}
"""Without a difference: how scores are drawn, and the score step that the tests are told."""


def declared(gaps: Scores, step: float) -> dict[str, NDArray[np.bool_]]:
    """Whether each test has declared a difference by the seed, shape (repetitions, CAP)."""
    p_values = prefix_p_values(gaps, step)
    single = p_values <= ALPHA
    looks = np.arange(1, CAP + 1) >= 3
    at_any = {
        "t test at every look, uncorrected": single,
        "Wang-Tsiatis .25, cap 30": p_values <= _levels(WANG_TSIATIS),
        "Pocock, cap 30": p_values <= _levels(POCOCK),
        "moment e, δ_min 1": moment_e_values(gaps, step=step) >= 1 / ALPHA,
        "Gaussian e, g 1": gaussian_e_values(gaps, step=step) >= 1 / ALPHA,
    }
    return {
        "paired t, one look": single,
        **{name: np.logical_or.accumulate(found & looks, axis=1) for name, found in at_any.items()},
    }


def _levels(shape: float) -> NDArray[np.float64]:
    levels = nominal_levels(CAP, ALPHA, shape)
    return np.array([levels.get(n, -1.0) for n in range(1, CAP + 1)])


def calibration(repetitions: int) -> list[dict[str, object]]:
    """The constants of the boundaries, and the share of false alarms with them, over 30 times as many repetitions."""
    caps = (30, 50)
    levels = {(name, cap): nominal_levels(cap, ALPHA, shape) for cap in caps for name, shape in SHAPES.items()}
    crossed = dict.fromkeys(levels, 0)
    for part in range(30):
        gaps = np.random.default_rng((STREAM, part)).normal(size=(repetitions, max(caps)))
        p_values = prefix_p_values(gaps)
        for plan, by_seeds in levels.items():
            seeds, nominal = np.array(list(by_seeds)), np.array(list(by_seeds.values()))
            crossed[plan] += int(np.any(p_values[:, seeds - 1] <= nominal, axis=1).sum())
    return [
        {"shape": name, "cap": cap, "c": levels[name, cap][cap], "false alarms": crossed[name, cap] / repetitions / 30}
        for name, cap in levels
    ]


def false_alarms(repetitions: int) -> list[dict[str, object]]:
    """Share of sequences with a false alarm by 30 seeds, a row for each way in which scores come about."""
    rows = []
    for row, (name, (draw, step)) in enumerate(NULLS.items()):
        scores = draw(np.random.default_rng((STREAM, row)), repetitions, 2, CAP)
        found = declared(scores[:, 0] - scores[:, 1], step)
        rows.append({"scores": name, **{test: float(done[:, -1].mean()) for test, done in found.items()}})
    return rows


def failure_alarms(repetitions: int) -> float:
    """Share of false alarms of the e-value of failures, where 10 % of the runs of both methods fail."""
    failed = np.random.default_rng(STREAM).random((repetitions, 2, CAP)) < 0.1
    first, second = (np.cumsum(failed[:, i] & ~failed[:, 1 - i], axis=1) for i in (0, 1))
    table = np.array([[failure_e_value(a, b) for b in range(CAP + 1)] for a in range(CAP + 1)])
    return float(np.mean(np.any(table[first, second] >= 1 / ALPHA, axis=1)))


def power(repetitions: int) -> list[dict[str, object]]:
    """Share of sequences in which a gap of 1 standard deviation is declared by so many seeds."""
    rows: dict[str, dict[str, object]] = {}
    for column, pairing in enumerate((0.0, 0.5, 0.8)):
        scores = normal(np.random.default_rng((STREAM, column)), repetitions, 2, CAP, pairing=pairing)
        for test, done in declared(scores[:, 0] - scores[:, 1] + 1.0, 0.0).items():
            row = rows.setdefault(test, {"test": test})
            row[f"pairing {pairing:g}"] = [float(done[:, n - 1].mean()) for n in AFTER]
    del rows["t test at every look, uncorrected"]
    return list(rows.values())


def settling(repetitions: int) -> list[dict[str, object]]:
    """Seeds until the interval excludes 0 or lies inside +-delta, delta being 1 standard deviation, and errors."""
    radius = np.array([moment_radius(n) for n in range(1, SETTLE_CAP + 1)])
    rows = []
    for pairing in (0.0, 0.5, 0.7):
        for truth in (0.0, 1.0, 2.0):
            scores = normal(np.random.default_rng((STREAM, len(rows))), repetitions, 2, SETTLE_CAP, pairing=pairing)
            runs = prefixes(scores[:, 0] - scores[:, 1] + truth)
            # Where the radius is infinite a spread of 0, after 1 seed, must not make it NaN.
            reach = radius * np.sqrt(np.maximum(runs.squares, 1e-300) / runs.n)
            differs, equal = np.abs(runs.mean) > reach, np.abs(runs.mean) + reach <= 1.0
            seeds = np.argmax(differs | equal, axis=1)
            at = np.arange(repetitions), seeds
            wrong = (differs[at] & (np.sign(truth) != np.sign(runs.mean[at]))) | (equal[at] & (abs(truth) > 1.0))
            rows.append(
                {
                    "pairing": pairing,
                    "true difference": truth,
                    "mean seeds": float(np.mean(seeds + 1)),
                    "90 % settled by": float(np.quantile(seeds + 1, 0.9)),
                    "unsettled": float(np.mean(~(differs | equal).any(axis=1))),
                    "called equal": float(np.mean(equal[at] & ~differs[at])),
                    "wrong": float(np.mean(wrong)),
                }
            )
    return rows


def finding(repetitions: int) -> list[dict[str, object]]:
    """Share of studies in which the better method is declared, and any other: halving, and equal seeds with Holm."""
    rows = []
    for methods, runs, pairing in ((5, 60, 0.0), (5, 60, 0.5), (5, 90, 0.0), (10, 110, 0.5)):
        rungs = halving_rungs(methods, runs=runs)
        seeds = rungs[-1].seeds
        scores = normal(np.random.default_rng((STREAM, len(rows))), repetitions, methods + 1, seeds, pairing=pairing)
        gaps = scores[:, :-1] - scores[:, -1:]
        gaps[:, 0] += 1.0
        equal = prefix_p_values(gaps)[:, :, runs // (methods + 1) - 1]
        ahead = gaps[:, :, : runs // (methods + 1)].mean(axis=2) > 0
        found = {
            "halving": np.array([_halve(study, rungs) for study in gaps]),
            "equal": np.array([[p is not None and p <= ALPHA for p in holm(row.tolist())] for row in equal]) & ahead,
        }
        rows.append(
            {
                "methods": methods,
                "runs": runs,
                "pairing": pairing,
                "rungs": ", ".join(f"{rung.methods}×{rung.seeds}" for rung in rungs),
                **{
                    name: [float(one[:, 0].mean()), float(one[:, 1:].any(axis=1).mean())] for name, one in found.items()
                },
            }
        )
    return rows


def _halve(gaps: Scores, rungs: Sequence[Rung]) -> list[bool]:
    """Which methods are declared better than the baseline in the end."""
    alive = list(range(len(gaps)))
    for before, after in pairwise(rungs):
        seen = gaps[alive, : before.seeds]
        alive = [alive[i] for i in kept_methods(seen, np.zeros_like(seen), after.methods)]
    tests = {method: finalist_test(gaps[method].tolist(), len(gaps), ALPHA) for method in alive}
    return [method in tests and tests[method].interval.low > 0 for method in range(len(gaps))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate, print and save; return the exit code."""
    given = _options().parse_args(arguments)
    times = given.repetitions
    found = {
        "calibration": calibration(times),
        "false_alarms": false_alarms(times),
        "failure_alarms": failure_alarms(times),
        "power": power(times),
        "settling": settling(times),
        "finding": finding(times),
    }
    print(f"{times} repetitions; a share of 5 % has a standard error of {100 * (0.05 * 0.95 / times) ** 0.5:.1f}.\n")
    for title, rows in (
        ("Levels of the last look, and false alarms by then in %, 30 times as many repetitions", found["calibration"]),
        ("False alarms by 30 seeds, %", found["false_alarms"]),
        ("A gap of 1 SD declared by 10 / 20 / 30 seeds, %", found["power"]),
        ("Seeds until settled, δ = 1 SD; the rest in %", found["settling"]),
        ("The better method declared / another declared, %", found["finding"]),
    ):
        _print_table(title, rows)
    print(f"False alarms of the e-value of failures, 10 % in both: {100 * found['failure_alarms']:.1f} %")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


_COUNTED = {"methods", "runs", "pairing", "true difference", "mean seeds", "90 % settled by", "cap", "c"}
"""Columns that are no shares."""


def _print_table(title: str, rows: list[dict[str, object]]) -> None:
    print(f"**{title}**\n")
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(_cell(name, value) for name, value in row.items()) + " |")
    print()


def _cell(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return " / ".join(f"{100 * one:.1f}" for one in value)
    return f"{value:.3g}" if name in _COUNTED else f"{100 * value:.{2 if name == 'false alarms' else 1}f}"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--json", type=Path)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

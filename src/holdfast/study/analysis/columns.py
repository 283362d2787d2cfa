"""Columns that the rows of every summary share."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from holdfast.records.run import RunRecord, RunSpec
from holdfast.study.statistics.sentences import PairwiseComparison


def spread_columns(scores: Sequence[float | None]) -> dict[str, Any]:
    """Return ``n``, ``mean`` and ``std`` of the scores that are there, in points."""
    known = [score for score in scores if score is not None]
    return {
        "n": len(known),
        "mean": fmean(known) if known else None,
        "std": stdev(known) if len(known) > 1 else None,
    }


def comparison_columns(comparison: PairwiseComparison | None) -> dict[str, Any]:
    """Return what a comparison with the baseline gave; nothing but its name for the baseline itself."""
    if comparison is None:
        columns = ("difference", "ci_low", "ci_high", "p_value", "p_adjusted")
        return dict.fromkeys(columns) | {"verdict": "baseline"}
    pair = comparison.pair
    return {
        "difference": pair.estimate,
        "ci_low": pair.interval.low if pair.interval else None,
        "ci_high": pair.interval.high if pair.interval else None,
        "p_value": pair.p_value,
        "p_adjusted": comparison.p_adjusted,
        "verdict": comparison.verdict,
    }


def without_result(
    specs: Sequence[RunSpec], records: Mapping[str, RunRecord], tasks: Mapping[str, str]
) -> list[dict[str, str]]:
    """Return a row of ``errors`` for each of ``specs`` that has no result; ``records`` and ``tasks`` go by run id."""
    rows = []
    for spec in specs:
        record = records.get(spec.id)
        if record is None or record.status == "error":
            rows.append(
                {
                    "run": spec.id,
                    "task": tasks[spec.id],
                    "method": spec.method or "pre-trained",
                    "seed": str(spec.seed) if spec.perturb is None else f"{spec.seed} (data {spec.perturb.seed})",
                    "error": "no result yet" if record is None else record.error or "no message",
                }
            )
    return rows

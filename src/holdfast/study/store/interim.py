"""The interim analyses of a study: every one before the last seed costs error rate."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, TypeAdapter

from holdfast.records.run import RunRecord, RunSpec


class InterimAnalysis(BaseModel):
    """What a summary was computed from: runs that ended, by task and by method."""

    model_config = ConfigDict(extra="forbid")

    when: str
    """UTC, ISO 8601, of the first summary of these runs."""
    runs: dict[str, dict[str, int]]


ANALYSES = TypeAdapter(list[InterimAnalysis])


def add_analysis(
    analyses: Sequence[InterimAnalysis],
    grid: Sequence[RunSpec],
    records: Mapping[str, RunRecord],
    names: Mapping[tuple[str, int | None], str],
    when: str,
) -> list[InterimAnalysis]:
    """Return ``analyses`` with the summary of ``records`` counted.

    It is a further analysis when a comparison seen before now rests on another number of runs; methods that are
    new extend the last one. A run that stopped with an error counts, so that running it again is no analysis; one of
    another role does not, as no comparison rests on it.
    ``names``: task names by ``RunSpec.dataset_key``.
    """
    compared = [spec for spec in grid if spec.role == "compared"]
    counts = Counter((names[spec.dataset_key], spec.method) for spec in compared if spec.id in records)
    runs: dict[str, dict[str, int]] = {}
    for (task, method), n in counts.items():
        runs.setdefault(task, {})[method] = n
    if not runs:
        return list(analyses)
    if not analyses:
        return [InterimAnalysis(when=when, runs=runs)]
    last = analyses[-1]
    seen_again = all(
        runs.get(task, {}).get(method) == n for task, methods in last.runs.items() for method, n in methods.items()
    )
    if seen_again:
        return [*analyses[:-1], InterimAnalysis(when=last.when, runs=runs)]
    return [*analyses, InterimAnalysis(when=when, runs=runs)]

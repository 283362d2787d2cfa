"""The answer of a chain or of cycles: with which method a model keeps most of what it was tuned on before."""

from holdfast.records.summary import ProbeRow, SequenceSummary
from holdfast.study.analysis.answer import TOO_FEW_SEEDS, Answer, missing_runs
from holdfast.wording import listed, number


def sequence_answer(summary: SequenceSummary) -> Answer:
    """Return the answer from the last probe of each task.

    A method is to be used where these are better than the baseline's at least once and worse never, else the baseline.
    """
    baseline = summary.settings.baseline
    last = {target: _last(summary, target) for target in dict.fromkeys(row.target for row in summary.probes)}
    last = {target: rows for target, rows in last.items() if any(row.mean is not None for row in rows.values())}
    if not last:
        return Answer("There is nothing to use yet: no run was probed.", "", _next(summary, last))
    wins: dict[str, list[str]] = {}
    for method in summary.settings.methods:
        verdicts = {target: rows[method].verdict for target, rows in last.items() if method in rows}
        if "worse" not in verdicts.values():
            wins[method] = [target for target, verdict in verdicts.items() if verdict == "better"]
    best = max(wins, key=lambda method: (len(wins[method]), _mean(last, method)), default=baseline)
    if not wins.get(best):
        use = f"Use {baseline}, the baseline: no other method has been shown to keep more."
        return Answer(use, _retained(last, baseline, summary), _next(summary, last))
    use = f"Use {best}: it keeps more of {listed(wins[best])} than {baseline}."
    return Answer(use, _retained(last, best, summary), _next(summary, last))


def _last(summary: SequenceSummary, target: str) -> dict[str, ProbeRow]:
    """Each method's last probe of a task."""
    rows = [row for row in summary.probes if row.target == target and row.stage and row.n]
    stage = max((row.stage for row in rows), default=0)
    return {row.method: row for row in rows if row.stage == stage}


def _mean(last: dict[str, dict[str, ProbeRow]], method: str) -> float:
    return sum(rows[method].mean or 0.0 for rows in last.values() if method in rows)


def _retained(last: dict[str, dict[str, ProbeRow]], method: str, summary: SequenceSummary) -> str:
    parts = []
    for target, rows in last.items():
        row = rows.get(method)
        if row is None or row.mean is None:
            continue
        start = next((one.mean for one in summary.probes if one.target == target and not one.stage), None)
        spread = f" ± {number(row.std)}" if row.std is not None else ""
        before = f" (the pre-trained model: {number(start)})" if start is not None else ""
        parts.append(f"{number(row.mean)}{spread} points on {target}{before}")
    return f"Expect of its last probe {listed(parts)}." if parts else ""


def _next(summary: SequenceSummary, last: dict[str, dict[str, ProbeRow]]) -> tuple[str, ...]:
    few = any(row.verdict == "too few runs" for rows in last.values() for row in rows.values())
    return tuple(step for step in (missing_runs(summary), TOO_FEW_SEEDS if few else "") if step)

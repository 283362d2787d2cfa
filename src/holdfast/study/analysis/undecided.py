"""What would decide the comparisons of a study that are open."""

from collections.abc import Sequence

from holdfast.records.summary import Row, Settings, Summary
from holdfast.study.analysis.results_grid import facts_of_task
from holdfast.study.statistics.group import Group
from holdfast.study.statistics.pair import SeedPlan, plan_seeds
from holdfast.study.statistics.sentences import MOST_SEEDS
from holdfast.wording import in_points


def advice(summary: Summary, rows: Sequence[Row]) -> str:
    """Return in a sentence how many seeds would decide all of ``rows`` or, where nobody runs so many, what else would.

    Empty where the runs at hand tell nothing of that.
    """
    plans = [plan for row in rows if (plan := _plan(summary, row)) is not None]
    delta = in_points(summary.settings.delta)
    now = len(summary.settings.seeds)
    if not plans:
        return ""
    settle, detect = max(plan.settle for plan in plans), max(plan.detect for plan in plans)
    if settle <= now:
        return ""
    if detect > MOST_SEEDS:
        told = f"Telling them apart by {delta} takes more than {MOST_SEEDS} seeds each"
        return f"{told}: choose a larger δ (--delta) or pool over tasks."
    if settle <= MOST_SEEDS:
        return f"About {settle} seeds each (--seeds {settle}) would settle it either way, at δ = {delta}."
    if detect <= now:
        return (
            f"A gap of {delta} or more would have shown (80 % chance); settling it takes more than {MOST_SEEDS} seeds."
        )
    return f"About {detect} seeds each (--seeds {detect}) would show a gap of {delta} or more (80 % chance)."


def _plan(summary: Summary, row: Row) -> SeedPlan | None:
    settings = summary.settings
    baseline = next(one for one in summary.results if (one.task, one.verdict) == (row.task, "baseline"))
    info = next(info for info in summary.tasks if info.task == row.task)
    groups = _group(row, settings), _group(baseline, settings)
    return plan_seeds(*groups, facts_of_task(info).scale, settings.delta, settings.alpha)


def _group(row: Row, settings: Settings) -> Group:
    ended = [(seed, score) for seed, score in zip(settings.seeds, row.scores, strict=True) if score is not None]
    return Group(
        scores=tuple(score for _, score in ended),
        failed=tuple(seed in row.failed_seeds for seed, _ in ended),
        seeds=tuple((seed,) for seed, _ in ended),
    )

"""What a reader must be told beside the numbers: warnings, notes, runs without a result, the model that was kept."""

from collections.abc import Callable

from holdfast.records.summary import Best, SequenceSummary, Summary, TaskInfo
from holdfast.report.luck import luck_reading
from holdfast.report.representations import representation_reading
from holdfast.report.text import clean, count, decimals, level, points
from holdfast.report.transfer import target_notes, transfer_reading


def warnings(summary: Summary) -> list[str]:
    """Return what looks wrong with the data, one line each, the task named."""
    return _told(summary, lambda info: info.warnings)


def notes(summary: Summary) -> list[str]:
    """Return what was decided while loading the data, one line each, the task named."""
    return _told(summary, lambda info: info.notes) + target_notes(summary)


def _told(summary: Summary, lines: Callable[[TaskInfo], list[str]]) -> list[str]:
    return [f"{clean(info.task)}: {clean(line)}" for info in summary.tasks for line in lines(info)]


def errors(summary: Summary | SequenceSummary) -> list[str]:
    """Return the runs without a result, one line for the runs of a method that share a reason."""
    seeds: dict[tuple[str, str, str], list[str]] = {}
    for error in summary.errors:
        key = (error.get("task", ""), error.get("method", ""), error.get("error", ""))
        seeds.setdefault(key, []).append(str(error.get("seed", "")))
    return [
        f"{clean(method)} on {clean(task)}, {'seed' if len(which) == 1 else 'seeds'} {clean(', '.join(which))}: "
        f"{clean(error) or 'no message'}"
        for (task, method, error), which in seeds.items()
    ]


def kept(best: Best, summary: Summary) -> str:
    """Return which model was kept, what it scored, and whether that score is optimistic."""
    digits = decimals(summary.settings.delta)
    what = f"{clean(best.task)}: {clean(best.method)}, seed {best.seed}"
    if best.score is not None:
        what += f", scores {points(best.score, digits)}"
    chosen = points(best.selection_score, digits)
    if best.optimistic:
        return f"{what}; chosen by its {chosen} on the very rows that score it: optimistic, expect less on new data."
    return f"{what}; chosen by its {chosen} on the selection rows, not on the scored ones."


def reading(summary: Summary) -> list[str]:
    """Return how to read the figures honestly, one sentence each."""
    settings = summary.settings
    sentences = [
        f"Points are the metric times 100; an interval covers the true value in {level(settings.alpha)} of studies, "
        "over seeds only: other seeds, but the same training rows, the same scored rows and the same settings.",
        "Means, spreads and differences count failed runs; a missing run counts nowhere and is only listed.",
        f"“Cannot be told apart” is not “equal”: only an interval wholly inside ±{settings.delta:g} "
        f"{'point' if settings.delta == 1 else 'points'} is called practically equal.",
    ]
    sentences += transfer_reading(summary) + representation_reading(summary) + luck_reading(summary)
    if any(best.optimistic for best in summary.best):
        sentences.append(
            "The best model was picked on the data that score it, so its own score is optimistic; "
            "the means in the table are not, they come from every run."
        )
    if summary.looks > 1:
        sentences.append(
            f"These results were looked at {count(summary.looks, 'time')} with differing numbers of runs; "
            "every look adds to the chance of a false verdict."
        )
    return sentences

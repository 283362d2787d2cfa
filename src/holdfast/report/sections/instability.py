"""Run-to-run variance: what the runs of one method differ in."""

from collections.abc import Callable, Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import InstabilityRow, Summary, TaskInfo
from holdfast.report.block import Block, Cell, Details, Figures, Heading, Row, Table
from holdfast.report.figures import layer_distances
from holdfast.report.rows import instability_rows, method_order
from holdfast.study.statistics.spread import MIN_RUNS, MIN_TASKS, enough_for_spread
from holdfast.wording import ABSENT, clean, count, decimals, percent, points

_VARIED = {"seed": "seeds", "data": "data"}
_NOISE = 1e-6
"""Equal representations come out this far apart at most, by rounding."""
_FEW_ROWS = 100
"""Below, a row counts for more than a percent."""


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block with a table for each task with a method of at least two runs; none without such."""
    if not summary.luck:
        return []
    tables = [(info, instability_rows(summary, info.task)) for info in summary.tasks]
    return [
        Block(
            "How much was luck",
            intro="What the runs of one method differ in: scores, predictions, representations (0 is alike), and how "
            "far the weights moved.",
            parts=tuple(Block(clean(info.task), table=_table(rows, summary)) for info, rows in tables if rows),
            notes=tuple(instability_notes(summary)),
            details=(Details("How to read luck", tuple(instability_reading(summary))),),
            figures=Figures(
                "layers",
                lambda: layer_distances.panels(summary),
                tuple(method_order(summary)),
                intro="The distances between runs, layer by layer.",
            ),
        )
    ]


def instability_notes(summary: Summary) -> list[str]:
    """Return what the tables say, a sentence a task, and what they cannot say."""
    notes = []
    for info in summary.tasks:
        rows = instability_rows(summary, info.task)
        notes += _disagreements(info, [row for row in rows if row.varied == "seed"], "")
        apart = "with the same seed and other training rows, "
        notes += _disagreements(info, [row for row in rows if row.varied == "data"], apart)
        notes += [note for row in rows if (note := _left_out(row))]
        notes += _few_rows(info, rows)
    return [*notes, _caution(summary)]


def instability_reading(summary: Summary) -> list[str]:
    """Return how the columns are to be read."""
    sentences = [
        "Luck: runs of a method that differ in nothing but their seeds; where data varied, the seeds are the same and "
        "each run lacks other training rows. Failed runs count.",
        "Disagree is the share of rows, or of words with classes, that two runs put into different classes; JS the "
        "Jensen–Shannon divergence of their predictions in nats; 1−κ is 0 when all runs agree and 1 when they agree no "
        "more than by chance.",
    ]
    if any(row.layers for row in summary.luck):
        sentences.append(
            "1−CKA, 1−SVCCA and Procrustes are distances between two runs' representations of the same rows in the "
            "last layer, at the position that the head reads: 0 when one is the other rotated and scaled. With fewer "
            "than about ten rows a dimension, SVCCA and Procrustes make all runs look alike: compare their values "
            "with each other only."
        )
    if any(row.distance is not None for row in summary.luck):
        sentences.append(
            "Moved: Euclidean distance of the body's weights from the pre-trained ones; from its start: from those at "
            "which training on the task began, which differ after a stage such as re-training."
            if _staged(summary.luck)
            else "Moved: Euclidean distance of the body's weights from the pre-trained ones."
        )
    return sentences


def unit_of(info: TaskInfo) -> str:
    """Return what has a prediction each, and so may be disagreed on."""
    return "words" if info.kind == "tokens" else "rows"


def saying(row: InstabilityRow, info: TaskInfo) -> str:
    """Return what two runs of one method with differing seeds disagree on, in a sentence; empty for regression."""
    if row.disagreement is None:
        return ""
    return (
        f"Two runs of this method that differ only in their seeds disagree on "
        f"{percent(row.disagreement, 1)} of the scored {unit_of(info)} ({count(row.predicted_runs, 'run')})."
    )


def _table(rows: Sequence[InstabilityRow], summary: Summary) -> Table:
    digits = decimals(summary.settings.delta)
    staged = _staged(rows)
    columns: list[tuple[str, Callable[[InstabilityRow], str]]] = [
        ("varied", lambda row: _VARIED[row.varied]),
        ("runs", lambda row: str(row.runs)),
        ("std", lambda row: points(row.score_std, digits)),
        ("range", lambda row: points(row.score_range, digits)),
        ("failed", lambda row: percent(row.failed_share)),
        ("disagree", lambda row: percent(row.disagreement, 1)),
        ("JS", lambda row: _small(row.js)),
        ("1−κ", lambda row: _small(row.kappa_distance)),
        ("1−CKA", lambda row: _small(row.layers[-1].cka if row.layers else None)),
        ("1−SVCCA", lambda row: _small(row.layers[-1].svcca if row.layers else None)),
        ("Procrustes", lambda row: _small(row.layers[-1].procrustes if row.layers else None)),
        ("moved", lambda row: _three(row.distance)),
        ("from its start", lambda row: _three(row.distance_start) if staged else ABSENT),
    ]
    shown = [(name, [write(row) for row in rows]) for name, write in columns]
    shown = [(name, column) for name, column in shown if set(column) != {ABSENT}]
    headings = [Heading(name, key=name == "varied") for name, _ in shown]
    lines = zip(*(column for _, column in shown), strict=True)
    return Table(
        (Heading("method", "left"), *headings),
        tuple(Row(clean(row.method), tuple(map(Cell, line))) for row, line in zip(rows, lines, strict=True)),
    )


def _staged(rows: Sequence[InstabilityRow]) -> bool:
    """Whether training went before that on the task, which moves its start: only then do the two distances differ."""
    return any(row.distance_start is not None and row.distance_start != row.distance for row in rows)


def _disagreements(info: TaskInfo, rows: Sequence[InstabilityRow], apart: str) -> list[str]:
    """The least and the most that two runs of a method disagree."""
    known = sorted(
        ((row.disagreement, clean(row.method)) for row in rows if row.disagreement is not None),
        key=lambda one: one[0],
    )
    if not known:
        return []
    task, unit = clean(info.task), unit_of(info)
    (least, steady), (most, shaky) = known[0], known[-1]
    if percent(least, 1) == percent(most, 1):
        who = f"{steady} " if len(known) == 1 else "every method "
        return [f"On {task}, {apart}two runs of {who}disagree on {percent(least, 1)} of the {unit}."]
    return [
        f"On {task}, {apart}two runs of {steady} disagree on {percent(least, 1)} of the {unit}, "
        f"two of {shaky} on {percent(most, 1)}{'' if len(known) == 2 else ', those of the other methods between'}."
    ]


def _left_out(row: InstabilityRow) -> str:
    """That a row's columns are not over the same runs; nothing where they are."""
    predicted = row.predicted_runs if row.disagreement is not None else row.runs
    compared = row.layers[-1].runs if row.layers else row.runs
    fewer = [
        f"{what} over {number}"
        for what, number in (("predictions", predicted), ("representations", compared))
        if number < row.runs
    ]
    if not fewer:
        return ""
    varied = "" if row.varied == "seed" else ", data varied"
    return (
        f"{clean(row.method)} on {clean(row.task)}{varied}: {' and '.join(fewer)} of {count(row.runs, 'run')}; the "
        "others kept none, or they are not finite or the same for every row."
    )


def _few_rows(info: TaskInfo, rows: Sequence[InstabilityRow]) -> list[str]:
    """What few scored rows do to the measures; nothing where there are enough, or no measure is over rows."""
    effects = []
    # Of words there are more than rows, and nobody counted them.
    if unit_of(info) == "rows" and any(row.disagreement is not None for row in rows):
        effects.append(f"one is {percent(1 / info.scored_rows, 1)} in disagree")
    if any(row.layers for row in rows):
        effects.append("with fewer rows than dimensions 1−SVCCA and Procrustes hardly tell representations apart")
    if info.scored_rows >= _FEW_ROWS or not effects:
        return []
    return [f"{clean(info.task)} has {count(info.scored_rows, 'scored row')}: {', and '.join(effects)}."]


def _caution(summary: Summary) -> str:
    """That nothing here was tested but, with enough runs, the spread of scores."""
    baseline = summary.settings.baseline
    by_task = [
        {
            row.method: [score for score in row.scores if score is not None]
            for row in summary.results
            if row.task == task
        }
        for task in summary.settings.tasks
    ]
    tested = any(
        enough_for_spread([(task[method], task[baseline]) for task in by_task if {method, baseline} <= task.keys()])
        for method in summary.settings.methods
        if method != baseline
    )
    if tested:
        return (
            "Of these numbers only the standard deviation of scores is tested, in the sentences on spread; the others "
            "describe the runs at hand."
        )
    return (
        "These numbers describe the runs at hand, and so few do not show that one method is steadier than another: "
        f"that takes at least {MIN_TASKS} tasks, or {MIN_RUNS} runs a method."
    )


def _small(value: float | None) -> str:
    if value is None:
        return ABSENT
    text = f"{value:.0e}" if _NOISE < value < 0.0005 else f"{max(value, 0.0):.3f}"
    return text.replace("-", "−")


def _three(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.3g}"

"""What a sequence of tasks shows, as text: probes of the tasks, and the stages' own scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.summary import ProbeRow, SequenceSummary, Stage
from holdfast.report.marked import Marked, marked, marks_key
from holdfast.report.representations import PRETRAINED
from holdfast.report.table import method_order
from holdfast.report.text import clean, count, decimals, level, points
from holdfast.report.transfer import CONSTANT


@dataclass(frozen=True)
class Line:
    """One method's cells, or a reference's."""

    name: str
    method: bool
    cells: tuple[Marked, ...]


@dataclass(frozen=True)
class SequenceTable:
    """A titled table; headings may have several lines."""

    title: str
    header: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Place:
    """Where on a figure's axis, or in which column of a table, a probe of a task stands."""

    at: int
    """Stages done for a chain; the number of the cycle for cycles."""
    name: str
    stage: int
    """Stages done when the probe was taken."""


def title_of(summary: SequenceSummary) -> str:
    """Return what the study asks."""
    tasks = " → ".join(dict.fromkeys(clean(stage.task) for stage in summary.stages))
    if summary.protocol == "chain":
        return f"What is left of {', '.join(targets(summary))} along {tasks}?"
    return f"What is kept over cycles of {tasks}?"


def lead_of(summary: SequenceSummary) -> str:
    """Return what was run, in a line."""
    settings = summary.settings
    return (
        f"{count(len(settings.methods), 'method')} × {count(len(settings.seeds), 'seed')} × "
        f"{count(len(summary.stages), 'stage')}, model {clean(settings.model)}, compared with "
        f"{clean(settings.baseline)}"
    )


def targets(summary: SequenceSummary) -> list[str]:
    """Return the names of the probed tasks in the order of the stages, then of the probes."""
    probed = dict.fromkeys(row.target for row in summary.probes)
    staged = dict.fromkeys(stage.task for stage in summary.stages if stage.task in probed)
    return [clean(name) for name in (staged | probed)]


def places(summary: SequenceSummary, target: str) -> list[Place]:
    """Return where ``target`` was probed: after each stage of a chain, before each of its turns in cycles."""
    rows = [row for row in summary.probes if clean(row.target) == target]
    if summary.protocol == "chain":
        names = {stage.number: f"after {clean(stage.task)}" for stage in summary.stages}
        stages = sorted({row.stage for row in rows})
        return [Place(stage, names.get(stage, "pre-trained"), stage) for stage in stages]
    # Of a cycle's probes the last was taken just before the task's turn.
    turns = {cycle: max(row.stage for row in rows if row.cycle == cycle) for cycle in sorted({r.cycle for r in rows})}
    return [Place(cycle, f"cycle {cycle}", stage) for cycle, stage in turns.items()]


def probe(summary: SequenceSummary, target: str, method: str, stage: int) -> ProbeRow | None:
    """Return a probe's row; before any stage the pre-trained model's, which all methods share."""
    found = [row for row in summary.probes if clean(row.target) == target and row.stage == stage]
    own = next((row for row in found if row.method == method), None)
    return own or (found[0] if found and stage == 0 else None)


def constant_of(summary: SequenceSummary, target: str) -> float | None:
    """Return the best constant prediction's score on ``target``, known where a stage is of that task."""
    return next((stage.constant_score for stage in summary.stages if clean(stage.task) == target), None)


def metric_of(summary: SequenceSummary, target: str) -> str:
    """Return the metric of ``target``; ``score`` where no stage is of that task."""
    return next((clean(stage.metric) for stage in summary.stages if clean(stage.task) == target), "score")


def probe_tables(summary: SequenceSummary) -> list[SequenceTable]:
    """Return a table a probed task: rows are methods, columns where it was probed."""
    tables = []
    for target in targets(summary):
        found = places(summary, target)
        when = "after each stage" if summary.protocol == "chain" else "before its own turn in each cycle"
        title = f"{target}, probed {when}: {metric_of(summary, target)} in points"
        lines = []
        for method in method_order(summary):
            rows = [probe(summary, target, method, place.stage) for place in found]
            lines.append(Line(clean(method), True, tuple(_cell(row, summary) for row in rows)))
        start = probe(summary, target, "", 0)
        if summary.protocol == "cycles" and start is not None:
            lines.append(Line(PRETRAINED, False, (_cell(start, summary),) * len(found)))
        lines += _constant([constant_of(summary, target)] * len(found), summary)
        header = tuple(place.name.replace("after ", "after\n", 1) for place in found)
        tables.append(SequenceTable(title, header, tuple(lines)))
    return tables


def stage_table(summary: SequenceSummary) -> SequenceTable:
    """Return the table of the stages' own scores: rows are methods, columns stages."""
    digits = decimals(summary.settings.delta)
    lines = []
    for method in method_order(summary):
        scores = {row.stage: row for row in summary.results if row.method == method}
        own = [scores.get(stage.number) for stage in summary.stages]
        cells = [marked(row.mean, row.std, None, digits) if row else Marked() for row in own]
        lines.append(Line(clean(method), True, tuple(cells)))
    lines += _constant([stage.constant_score for stage in summary.stages], summary)
    header = tuple(_stage_heading(stage, summary) for stage in summary.stages)
    return SequenceTable("Each stage's own score, in points", header, tuple(lines))


def notes(summary: SequenceSummary) -> list[str]:
    """Return what the marks in the tables mean."""
    cells = [cell for table in probe_tables(summary) for line in table.lines for cell in line.cells]
    key = marks_key(cells, summary.settings.baseline)
    return [key] if key else []


def reading(summary: SequenceSummary) -> list[str]:
    """Return how to read the figures honestly, one sentence each."""
    settings = summary.settings
    return [
        f"Points are the metric times 100; an interval covers the true value in {level(settings.alpha)} of studies, "
        "over seeds only: other seeds, but the same rows, the same order of tasks and the same settings.",
        "Probe: the model's body is frozen and a linear classifier on its features learns the task anew; several "
        "probes of a model count as one score, their mean.",
        f"“Cannot be told apart” is not “equal”: only an interval wholly inside ±{settings.delta:g} "
        f"{'point' if settings.delta == 1 else 'points'} is called practically equal.",
    ]


def _cell(row: ProbeRow | None, summary: SequenceSummary) -> Marked:
    return marked(row.mean, row.std, row.verdict, decimals(summary.settings.delta)) if row else Marked()


def _constant(scores: Sequence[float | None], summary: SequenceSummary) -> list[Line]:
    digits = decimals(summary.settings.delta)
    if all(score is None for score in scores):
        return []
    cells = [Marked() if score is None else Marked(points(score, digits)) for score in scores]
    return [Line(CONSTANT, False, tuple(cells))]


def _stage_heading(stage: Stage, summary: SequenceSummary) -> str:
    cycle = f"\ncycle {stage.cycle}" if summary.protocol == "cycles" else ""
    return f"{stage.number}: {clean(stage.task)}\n{clean(stage.metric)}{cycle}"

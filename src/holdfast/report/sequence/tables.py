"""What a sequence of tasks shows, as text: probes of the tasks, and the stages' own scores."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.summary import ProbeRow, SequenceSummary, Stage
from holdfast.report.block import Block, Cell, Heading, Row, Table
from holdfast.report.marked import marked
from holdfast.report.rows import CONSTANT, PRETRAINED, method_order
from holdfast.wording import ABSENT, clean, count, decimals, points


@dataclass(frozen=True)
class ProbePoint:
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


def probe_points(summary: SequenceSummary, target: str) -> list[ProbePoint]:
    """Return where ``target`` was probed: after each stage of a chain, before each of its turns in cycles."""
    rows = [row for row in summary.probes if clean(row.target) == target]
    if summary.protocol == "chain":
        names = {stage.number: f"after {clean(stage.task)}" for stage in summary.stages}
        stages = sorted({row.stage for row in rows})
        return [ProbePoint(stage, names.get(stage, "pre-trained"), stage) for stage in stages]
    # Of a cycle's probes the last was taken just before the task's turn.
    turns = {cycle: max(row.stage for row in rows if row.cycle == cycle) for cycle in sorted({r.cycle for r in rows})}
    return [ProbePoint(cycle, f"cycle {cycle}", stage) for cycle, stage in turns.items()]


def probe(summary: SequenceSummary, target: str, method: str, stage: int) -> ProbeRow | None:
    """Return a probe's row; before any stage the pre-trained model's, which all methods share."""
    rows = [row for row in summary.probes if clean(row.target) == target and row.stage == stage]
    own = next((row for row in rows if row.method == method), None)
    return own or (rows[0] if rows and stage == 0 else None)


def constant_of(summary: SequenceSummary, target: str) -> float | None:
    """Return the best constant prediction's score on ``target``, known where a stage is of that task."""
    return next((stage.constant_score for stage in summary.stages if clean(stage.task) == target), None)


def metric_of(summary: SequenceSummary, target: str) -> str:
    """Return the metric of ``target``; ``score`` where no stage is of that task."""
    return next((clean(stage.metric) for stage in summary.stages if clean(stage.task) == target), "score")


def probe_tables(summary: SequenceSummary) -> list[Block]:
    """Return a table a probed task: rows are methods, columns where it was probed."""
    tables = []
    for target in targets(summary):
        positions = probe_points(summary, target)
        when = "after each stage" if summary.protocol == "chain" else "before its own turn in each cycle"
        title = f"{target}, probed {when}: {metric_of(summary, target)} in points"
        rows = []
        for method in method_order(summary):
            own = [probe(summary, target, method, place.stage) for place in positions]
            rows.append(Row(clean(method), tuple(_cell(row, summary) for row in own)))
        start = probe(summary, target, "", 0)
        if summary.protocol == "cycles" and start is not None:
            rows.append(Row(PRETRAINED, (_cell(start, summary),) * len(positions), "reference"))
        rows += _constant([constant_of(summary, target)] * len(positions), summary)
        headings = [Heading(place.name.replace("after ", "after\n", 1)) for place in positions]
        tables.append(Block(title, table=_table(headings, rows)))
    return tables


def stage_table(summary: SequenceSummary) -> Block:
    """Return the table of the stages' own scores: rows are methods, columns stages."""
    digits = decimals(summary.settings.delta)
    rows = []
    for method in method_order(summary):
        scores = {row.stage: row for row in summary.results if row.method == method}
        own = [scores.get(stage.number) for stage in summary.stages]
        cells = tuple(marked(row.mean, row.std, None, digits) if row else Cell(ABSENT) for row in own)
        rows.append(Row(clean(method), cells))
    rows += _constant([stage.constant_score for stage in summary.stages], summary)
    headings = [Heading(_stage_heading(stage, summary)) for stage in summary.stages]
    return Block("Each stage's own score, in points", table=_table(headings, rows))


def _table(headings: Sequence[Heading], rows: Sequence[Row]) -> Table:
    return Table((Heading("method", "left"), *headings), tuple(rows), many=True)


def _cell(row: ProbeRow | None, summary: SequenceSummary) -> Cell:
    digits = decimals(summary.settings.delta)
    return marked(row.mean, row.std, row.verdict, digits) if row else Cell(ABSENT)


def _constant(scores: Sequence[float | None], summary: SequenceSummary) -> list[Row]:
    digits = decimals(summary.settings.delta)
    if all(score is None for score in scores):
        return []
    return [Row(CONSTANT, tuple(Cell(points(score, digits)) for score in scores), "reference")]


def _stage_heading(stage: Stage, summary: SequenceSummary) -> str:
    cycle = f"\ncycle {stage.cycle}" if summary.protocol == "cycles" else ""
    return f"{stage.number}: {clean(stage.task)}\n{clean(stage.metric)}{cycle}"

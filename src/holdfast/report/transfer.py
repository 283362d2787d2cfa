"""Score in-domain, out of domain and retained knowledge side by side: the table as text, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.records.summary import Representation, Row, Summary, Target, TaskInfo, TransferRow, Verdict
from holdfast.report.marked import Marked, marked, marks_key
from holdfast.report.representations import PRETRAINED, last_layers, rank_share
from holdfast.report.table import rows_of
from holdfast.report.text import ABSENT, clean, decimals, points

TITLE = "Side by side"
INTRO = (
    "A method that wins on its own task can lose on others: the score on it, out-of-domain scores of the same tuned "
    "models, and linear probes of their frozen bodies, which tell what they still know."
)
KINDS = {"ood": "out of domain", "probe": "probe"}

CONSTANT = "(best constant)"


@dataclass(frozen=True)
class Column:
    """What a column shows: ``kind`` is in-domain, ood, probe or last layer."""

    kind: str
    name: str
    metric: str = ""

    @property
    def words(self) -> str:
        """The heading in a line, such as ``probe: cola, matthews``."""
        return f"{self.kind}: {self.name}{f', {self.metric}' if self.metric else ''}"

    @property
    def lines(self) -> str:
        """The heading in several lines."""
        return "\n".join(part for part in (self.kind, self.name, self.metric) if part)


@dataclass(frozen=True)
class SideLine:
    """A method, or one of the two references at the end of a table."""

    name: str
    method: bool
    rows: str
    """Training rows; empty where the study has one size."""
    cells: tuple[Marked, ...]


@dataclass(frozen=True)
class SideTable:
    """One task with all that its models were scored on, grouped by training rows where there are several sizes."""

    task: str
    sized: bool
    columns: tuple[Column, ...]
    lines: tuple[SideLine, ...]


def by_base(summary: Summary) -> dict[str, list[TaskInfo]]:
    """Return the summary's tasks by name, in one entry for all sizes of a task, by training rows."""
    tasks: dict[str, list[TaskInfo]] = {}
    for info in summary.tasks:
        tasks.setdefault(info.base or info.task, []).append(info)
    return {base: sorted(infos, key=lambda info: info.train_rows) for base, infos in tasks.items()}


def transfer_rows(summary: Summary, task: str, kind: str, target: str) -> list[TransferRow]:
    """Return the rows of one target of a task in the summary's order."""
    return [row for row in summary.transfer if (row.task, row.kind, row.target) == (task, kind, target)]


def targets_of(infos: Sequence[TaskInfo]) -> list[Target]:
    """Return what the models of a task, in all its sizes, are scored on: out of domain first, then probes."""
    found = {(target.kind, target.name): target for info in infos for target in info.targets}
    return sorted(found.values(), key=lambda target: target.kind == "probe")


def side_tables(summary: Summary) -> list[SideTable]:
    """Return a table for each task whose models were scored on something else too."""
    return [_table(base, infos, summary) for base, infos in by_base(summary).items() if targets_of(infos)]


def side_grid(table: SideTable) -> tuple[list[str], list[list[str]]]:
    """Return headings in several lines and all cells as text, the training rows first where they differ."""
    sized = ["training\nrows"] if table.sized else []
    lines = [([line.rows] if table.sized else []) + [cell.text for cell in line.cells] for line in table.lines]
    return sized + [column.lines for column in table.columns], lines


def side_notes(summary: Summary) -> list[str]:
    """Return where each method wins and loses, a sentence a method and task, and what the marks mean."""
    cells = [cell for table in side_tables(summary) for line in table.lines for cell in line.cells]
    key = marks_key(cells, summary.settings.baseline)
    return [*glance(summary), *([key] if key else [])]


def glance(summary: Summary) -> list[str]:
    """Return where each method wins and loses against the baseline, in a sentence a method and task."""
    told = []
    for info in summary.tasks:
        for row in rows_of(summary, info.task):
            if row.verdict == "baseline" or not info.targets:
                continue
            parts = [f"in-domain {row.verdict}"]
            own = [other for other in summary.transfer if (other.task, other.method) == (row.task, row.method)]
            for kind, what in (("ood", "out of domain"), ("probe", "retained knowledge (probes)")):
                verdicts = {clean(other.target): other.verdict for other in own if other.kind == kind}
                parts += [f"{what} {_tally(verdicts)}"] if verdicts else []
            against = clean(summary.settings.baseline)
            told.append(f"{clean(info.task)}, {clean(row.method)} against {against}: {'; '.join(parts)}.")
    return told


def transfer_reading(summary: Summary) -> list[str]:
    """Return how the columns are to be read; nothing without them."""
    kinds = {target.kind for info in summary.tasks for target in info.targets}
    sentences = []
    if "ood" in kinds:
        sentences.append(
            "Out of domain: the tuned model as it is, on another task's rows, its classes mapped as the notes on the "
            "data say."
        )
    if "probe" in kinds:
        sentences.append(
            "Probe: the tuned model's body is frozen and a linear classifier on its features learns another task; "
            "several probes of a run count as one score, their mean. The pre-trained model's score under the same "
            "probes tells what fine-tuning lost or gained."
        )
    if kinds:
        sentences.append(
            "The comparisons out of domain and those of the probes are each corrected for their number among "
            "themselves, not together with those in-domain."
        )
    return sentences


def target_notes(summary: Summary) -> list[str]:
    """Return what was decided about each target, one line each, task and target named."""
    return [
        f"{clean(base)}, {KINDS[target.kind]} {clean(target.name)}: {clean(note)}"
        for base, infos in by_base(summary).items()
        for target in targets_of(infos)
        for note in target.notes
    ]


def _tally(verdicts: dict[str, Verdict]) -> str:
    """Such as ``better on 2 of 6 (cola, cr), worse on none``; of a single target, its verdict."""
    if len(verdicts) == 1:
        ((target, verdict),) = verdicts.items()
        return f"({target}) {verdict}"
    if set(verdicts.values()) == {"too few runs"}:
        return "too few runs"
    parts = []
    for verdict in ("better", "worse"):
        names = [target for target, found in verdicts.items() if found == verdict]
        total = f" of {len(verdicts)}" if verdict == "better" else ""
        parts.append(f"{verdict} on {len(names) or 'none'}{total}" + (f" ({', '.join(names)})" if names else ""))
    few = sum(verdict == "too few runs" for verdict in verdicts.values())
    return ", ".join(parts) + (f", too few runs on {few}" if few else "")


def _table(base: str, infos: Sequence[TaskInfo], summary: Summary) -> SideTable:
    targets = targets_of(infos)
    layers = [last_layers(summary, info.task) for info in infos]
    columns = [Column("in-domain", clean(base), clean(infos[0].metric))]
    columns += [Column(target.kind, clean(target.name), clean(target.metric)) for target in targets]
    if any(layers):
        columns += [Column("last layer", "CKA"), Column("last layer", "effective rank")]
    sized = len(infos) > 1
    lines = []
    for info, states in zip(infos, layers, strict=True):
        rows = str(info.train_rows) if sized else ""
        for row in rows_of(summary, info.task):
            cells = _method_cells(row, targets, summary)
            if any(layers):
                cells += _layer_cells(states.get(row.method))
            lines.append(SideLine(clean(row.method), True, rows, tuple(cells)))
    lines += _references(infos, targets, [state for states in layers for state in states.values()], summary)
    return SideTable(clean(base), sized, tuple(columns), tuple(lines))


def _method_cells(row: Row, targets: Sequence[Target], summary: Summary) -> list[Marked]:
    digits = decimals(summary.settings.delta)
    cells = [marked(row.mean, row.std, row.verdict, digits)]
    for target in targets:
        found = transfer_rows(summary, row.task, target.kind, target.name)
        own = next((other for other in found if other.method == row.method), None)
        cells.append(marked(own.mean, own.std, own.verdict, digits) if own else Marked())
    return cells


def _layer_cells(state: Representation | None) -> list[Marked]:
    if state is None:
        return [Marked(), Marked()]
    return [Marked(points(state.cka, 2)), Marked(rank_share(state.effective_rank, state.effective_rank_start))]


def _references(
    infos: Sequence[TaskInfo], targets: Sequence[Target], states: Sequence[Representation], summary: Summary
) -> list[SideLine]:
    """The pre-trained model, where it was probed or measured, and the best constant prediction."""
    digits = decimals(summary.settings.delta)
    known = [reference(infos, target, summary) for target in targets]
    start = next((state.effective_rank_start for state in states if state.effective_rank_start is not None), None)
    layers = [Marked("1.00"), Marked(rank_share(start, start))] if states else []
    rows = ABSENT if len(infos) > 1 else ""
    lines = []
    if any(score is not None for score in (*known, start)):
        cells = [Marked(), *(marked(score, None, None, digits) for score in known), *layers]
        lines.append(SideLine(PRETRAINED, False, rows, tuple(cells)))
    constants = [Marked(points(infos[0].constant_score, digits))]
    constants += [Marked(points(target.constant_score, digits)) for target in targets]
    lines.append(SideLine(CONSTANT, False, rows, (*constants, *(Marked() for _ in layers))))
    return lines


def reference(infos: Sequence[TaskInfo], target: Target, summary: Summary) -> float | None:
    """Return what the pre-trained model scores on ``target`` under the same probes; None out of domain."""
    found = [row for info in infos for row in transfer_rows(summary, info.task, target.kind, target.name)]
    return next((row.reference for row in found if row.reference is not None), None)

"""Score in-domain, out of domain and retained knowledge side by side, and what it says."""

from collections.abc import Sequence

from holdfast.records.run import RunRecord
from holdfast.records.summary import Representation, Summary, Target, TaskInfo, Verdict
from holdfast.records.summary import Row as Result
from holdfast.report.block import Block, Cell, Details, Heading, Row, Table
from holdfast.report.marked import marked, marks_key
from holdfast.report.rows import (
    CONSTANT,
    PRETRAINED,
    by_base,
    last_layers,
    reference,
    rows_of,
    targets_of,
    transfer_rows,
)
from holdfast.wording import ABSENT, clean, decimals, listed, points, rank_share


def blocks(summary: Summary, records: Sequence[RunRecord]) -> list[Block]:
    """Return one block with a table for each task whose models were scored on something else too; none without."""
    scored = [(base, infos) for base, infos in by_base(summary).items() if targets_of(infos)]
    if not scored:
        return []
    parts = tuple(Block(clean(base), table=_table(base, infos, summary)) for base, infos in scored)
    key = marks_key([part.table for part in parts if part.table], summary.settings.baseline)
    return [
        Block(
            "Side by side",
            intro="A method that wins on its own task can lose on others: the score on it, out-of-domain scores of the "
            "same tuned models, and linear probes of their frozen bodies, which tell what they still know.",
            parts=parts,
            notes=(*glance(summary), *key, *map(clean, summary.transfer_sentences)),
            details=(Details("How to read other tasks", tuple(_reading(summary))),),
        )
    ]


def glance(summary: Summary) -> list[str]:
    """Return where methods win and lose against the baseline, a sentence a task for those of which the same holds."""
    outcomes: dict[tuple[str, str], list[str]] = {}
    for info in summary.tasks:
        for row in rows_of(summary, info.task):
            if row.verdict == "baseline" or not info.targets:
                continue
            parts = [f"in-domain {row.verdict}"]
            own = [other for other in summary.transfer if (other.task, other.method) == (row.task, row.method)]
            for kind, what in (("ood", "out of domain"), ("probe", "retained knowledge (probes)")):
                verdicts = {clean(other.target): other.verdict for other in own if other.kind == kind}
                parts += [f"{what} {_tally(verdicts)}"] if verdicts else []
            outcomes.setdefault((clean(info.task), "; ".join(parts)), []).append(clean(row.method))
    against = clean(summary.settings.baseline)
    return [f"{task}, {listed(methods)} against {against}: {said}." for (task, said), methods in outcomes.items()]


def _reading(summary: Summary) -> list[str]:
    """How the columns are to be read."""
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
    sentences.append(
        "The comparisons out of domain and those of the probes are each corrected for their number among "
        "themselves, not together with those in-domain."
    )
    return sentences


def _tally(verdicts: dict[str, Verdict]) -> str:
    """Such as ``better on 2 of 6 (cola, cr), worse on none``; of a single target, its verdict."""
    if len(verdicts) == 1:
        ((target, verdict),) = verdicts.items()
        return f"({target}) {verdict}"
    if set(verdicts.values()) == {"too few runs"}:
        return "too few runs"
    parts = []
    for verdict in ("better", "worse"):
        names = [target for target, other in verdicts.items() if other == verdict]
        total = f" of {len(verdicts)}" if verdict == "better" else ""
        parts.append(f"{verdict} on {len(names) or 'none'}{total}" + (f" ({', '.join(names)})" if names else ""))
    few = sum(verdict == "too few runs" for verdict in verdicts.values())
    return ", ".join(parts) + (f", too few runs on {few}" if few else "")


def _table(base: str, infos: Sequence[TaskInfo], summary: Summary) -> Table:
    targets = targets_of(infos)
    layers = [last_layers(summary, info.task) for info in infos]
    sized = [Heading("training\nrows", key=True)] if len(infos) > 1 else []
    columns = [("in-domain", base, infos[0].metric)]
    columns += [(target.kind, target.name, target.metric) for target in targets]
    columns += [("last layer", "CKA", ""), ("last layer", "effective rank", "")] if any(layers) else []
    headings = [Heading("\n".join(clean(line) for line in column if line)) for column in columns]
    rows = []
    for info, states in zip(infos, layers, strict=True):
        size = [Cell(str(info.train_rows))] if sized else []
        for result in rows_of(summary, info.task):
            cells = [*size, *_scores(result, targets, summary)]
            cells += _layer_cells(states.get(result.method)) if any(layers) else []
            rows.append(Row(clean(result.method), tuple(cells)))
    rows += _references(infos, targets, [state for states in layers for state in states.values()], summary)
    return Table((Heading("method", "left"), *sized, *headings), tuple(rows), many=True)


def _scores(row: Result, targets: Sequence[Target], summary: Summary) -> list[Cell]:
    digits = decimals(summary.settings.delta)
    cells = [marked(row.mean, row.std, row.verdict, digits)]
    for target in targets:
        rows = transfer_rows(summary, row.task, target.kind, target.name)
        own = next((other for other in rows if other.method == row.method), None)
        cells.append(marked(own.mean, own.std, own.verdict, digits) if own else Cell(ABSENT))
    return cells


def _layer_cells(state: Representation | None) -> list[Cell]:
    if state is None:
        return [Cell(ABSENT), Cell(ABSENT)]
    return [Cell(points(state.cka, 2)), Cell(rank_share(state.effective_rank, state.effective_rank_start))]


def _references(
    infos: Sequence[TaskInfo], targets: Sequence[Target], states: Sequence[Representation], summary: Summary
) -> list[Row]:
    """The pre-trained model, where it was probed or measured, and the best constant prediction."""
    digits = decimals(summary.settings.delta)
    known = [reference(infos, target, summary) for target in targets]
    start = next((state.effective_rank_start for state in states if state.effective_rank_start is not None), None)
    layers = ["1.00", rank_share(start, start)] if states else []
    size = [ABSENT] if len(infos) > 1 else []
    rows = []
    if any(score is not None for score in (*known, start)):
        cells = [*size, ABSENT, *(points(score, digits) for score in known), *layers]
        rows.append(Row(PRETRAINED, tuple(map(Cell, cells)), "reference"))
    constants = [infos[0].constant_score, *(target.constant_score for target in targets)]
    cells = [*size, *(points(score, digits) for score in constants), *(ABSENT for _ in layers)]
    return [*rows, Row(CONSTANT, tuple(map(Cell, cells)), "reference")]

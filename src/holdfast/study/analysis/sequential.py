"""Chains and cycles: what one model, tuned on several tasks in turn, still knows of each of them.

Aghajanyan et al. (2020), section 4: a source task is probed after each further tuning, and, over cycles, each task
just before its own turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import holdfast
from holdfast.records.run import RunRecord, RunSpec
from holdfast.records.summary import ProbeRow, SequenceSummary, Settings, Stage, StageRow, TaskInfo
from holdfast.study.analysis.columns import comparison_columns, spread_columns, without_result
from holdfast.study.analysis.failures import Outcome
from holdfast.study.analysis.results_grid import facts_of_task, group_of
from holdfast.study.analysis.transfer import decided_and_rest, probe_outcome
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.policy import stages as parts_of
from holdfast.study.statistics.comparisons import TaskGroups, compare_with_baseline
from holdfast.study.statistics.notes import closing_notes
from holdfast.study.statistics.sentences import PairwiseComparison


@dataclass(frozen=True, eq=False)
class _ProbePoint:
    """Where in the sequence a task is probed."""

    stage: int
    cycle: int
    info: TaskInfo
    name: str
    """In words; tells the places apart."""


def summarise_sequence(
    study: StudyFile,
    settings: Settings,
    infos: Sequence[TaskInfo],
    grid: Sequence[RunSpec],
    records: Mapping[str, RunRecord],
    analyses: int = 1,
) -> SequenceSummary:
    """The summary of a chain or of cycles, complete or not.

    ``infos``: of the study's tasks, in their order; ``records`` go by ``RunSpec.id``; ``analyses`` counts how
    often results with differing numbers of runs were analysed.
    """
    assert study.sequence is not None
    trained = parts_of([spec for spec in grid if spec.role == "compared"])
    reference = next((records[spec.id] for spec in grid if spec.role == "reference" and spec.id in records), None)
    turns = list(infos) * (study.cycles if study.sequence == "cycles" else 1)
    stages = [_stage(number, info, 1 + (number - 1) // len(infos)) for number, info in enumerate(turns, 1)]
    places = _places(study.sequence, infos, stages)
    groups = {
        place: _task_groups(place, trained[place.stage - 1], records, settings) for place in places if place.stage
    }
    comparisons = compare_with_baseline(
        list(groups.values()), settings.methods, settings.baseline, settings.delta, settings.alpha
    )
    verdicts = {(one.task, one.method): one for one in comparisons}
    probes = [_start(place, reference) for place in places if not place.stage]
    for place, group in groups.items():
        specs = trained[place.stage - 1]
        probes += [
            _probe(place, method, _points(place, method, specs, records), verdicts.get((group.task, method)))
            for method in settings.methods
        ]
    names = dict.fromkeys((spec.id for spec in grid), infos[0].task)
    for number, (info, specs) in enumerate(zip(turns, trained, strict=True), 1):
        names |= dict.fromkeys((spec.id for spec in specs), f"{info.task} (stage {number})")
    text = decided_and_rest(comparisons)
    splits = [info.scored_split for info in infos]
    text += closing_notes(len(comparisons), settings.delta, settings.alpha, analyses, splits)
    return SequenceSummary(
        protocol=study.sequence,
        holdfast=holdfast.__version__,
        settings=settings,
        stages=stages,
        results=[
            _result(stage, method, specs, records)
            for stage, specs in zip(stages, trained, strict=True)
            for method in settings.methods
        ],
        probes=sorted(probes, key=lambda row: row.stage),
        sentences=text,
        choices=_choices(study),
        warnings=[f"{info.task}: {warning}" for info in infos for warning in info.warnings],
        errors=without_result(grid, records, names),
    )


def _stage(number: int, info: TaskInfo, cycle: int) -> Stage:
    return Stage(
        number=number,
        cycle=cycle,
        task=info.task,
        metric=info.metric,
        train_rows=info.train_rows,
        scored_split=info.scored_split,
        scored_rows=info.scored_rows,
        constant_score=info.constant_score,
    )


def _places(protocol: str, infos: Sequence[TaskInfo], stages: Sequence[Stage]) -> list[_ProbePoint]:
    if protocol == "chain":
        source = infos[0]
        after = [_ProbePoint(one.number, 1, source, f"{source.task} after {one.task}") for one in stages]
        return [_ProbePoint(0, 1, source, source.task), *after]
    # Before any training every task is probed, so that what a cycle keeps of it can be seen against that.
    start = [_ProbePoint(0, 1, info, info.task) for info in infos]
    by_name = {info.task: info for info in infos}
    return start + [
        _ProbePoint(one.number - 1, one.cycle, by_name[one.task], f"{one.task} before its turn in cycle {one.cycle}")
        for one in stages[1:]
    ]


def _outcome(place: _ProbePoint, record: RunRecord | None) -> Outcome | None:
    if record is None or record.status == "error":
        return None
    return probe_outcome(record, place.info.base or place.info.task, place.info.constant_score)


def _task_groups(
    place: _ProbePoint, specs: Sequence[RunSpec], records: Mapping[str, RunRecord], settings: Settings
) -> TaskGroups:
    groups = {}
    for method in settings.methods:
        ended = [
            ((spec.seed, spec.data_seed), outcome)
            for spec in specs
            if spec.method == method and (outcome := _outcome(place, records.get(spec.id))) is not None
        ]
        groups[method] = group_of(ended)
    return TaskGroups(place.name, facts_of_task(place.info).scale, groups)


def _points(
    place: _ProbePoint, method: str, specs: Sequence[RunSpec], records: Mapping[str, RunRecord]
) -> list[float | None]:
    outcomes = [_outcome(place, records.get(spec.id)) for spec in specs if spec.method == method]
    return [None if outcome is None else outcome.score for outcome in outcomes]


def _start(place: _ProbePoint, reference: RunRecord | None) -> ProbeRow:
    outcome = _outcome(place, reference)
    row = _probe(place, "", [None if outcome is None else outcome.score], None)
    return row.model_copy(update={"verdict": None})


def _probe(
    place: _ProbePoint, method: str, scores: list[float | None], comparison: PairwiseComparison | None
) -> ProbeRow:
    return ProbeRow(
        stage=place.stage,
        cycle=place.cycle,
        target=place.info.task,
        method=method,
        **spread_columns(scores),
        **comparison_columns(comparison),
        scores=scores,
    )


def _result(stage: Stage, method: str, specs: Sequence[RunSpec], records: Mapping[str, RunRecord]) -> StageRow:
    scores: list[float | None] = []
    for spec in specs:
        if spec.method == method:
            record = records.get(spec.id)
            scores.append(_stage_points(record, stage) if record is not None else None)
    return StageRow(stage=stage.number, method=method, **spread_columns(scores), scores=scores)


def _stage_points(record: RunRecord, stage: Stage) -> float | None:
    """A run's own score; what is undefined counts as the best constant prediction's, as everywhere in a study."""
    if record.status == "error":
        return None
    points = record.points(stage.metric)
    return stage.constant_score if points is None else points


def _choices(study: StudyFile) -> list[str]:
    """What the published protocol leaves open, as it is done here."""
    probe = study.probe
    rows = "all training rows" if probe.rows is None else f"at most {probe.rows} training rows"
    layer = "the last hidden layer" if probe.layer == -1 else f"hidden layer {probe.layer}"
    when = (
        "The first task is probed after every stage."
        if study.sequence == "chain"
        else "Each task is probed just before its own turn; before the first cycle the models of all methods are the "
        "pre-trained one for the first task."
    )
    return [
        when,
        f"A probe is one linear layer on {layer} of the frozen body, without dropout, trained to convergence on {rows} "
        f"with the L2 penalty that scores best on held-out ones; the mean of {probe.seeds} such probes counts.",
        "Every stage has a new head, with the run's seed, on the body that the stage before left.",
        "A stage goes on from the checkpoint with the best validation score where the task has labelled test rows, "
        "and from the last one elsewhere, so that no score comes from rows that chose the checkpoint.",
        "What a method holds on to (a snapshot, statistics of gradients) is taken anew at the beginning of each stage.",
    ]

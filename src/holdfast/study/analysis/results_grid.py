"""The runs of a study laid out by task, method and seed, whether or not they ended."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import HoldfastError
from holdfast.records.run import DatasetKey, RunRecord, RunSpec
from holdfast.records.summary import TaskInfo
from holdfast.records.task import TaskSpec
from holdfast.study.analysis.failures import Outcome, outcomes
from holdfast.study.statistics.comparisons import TaskGroups
from holdfast.study.statistics.group import Group, Scale, Seed

SIGNED_METRICS = frozenset({"matthews", "pearson", "spearman"})
"""Metrics that range from -1 to 1; the others from 0 to 1."""

PerExample = Mapping[str, Sequence[float]]
"""Per-example accuracy, by run id: 1 for each scored row that the run got right, 0 for the others, in order."""


@dataclass(frozen=True)
class TaskFacts:
    """How a task is scored."""

    metric: str
    constant: float
    """Points of the best constant prediction."""
    rows: int
    """Scored rows."""
    split: str
    """Scored split."""

    @property
    def scale(self) -> Scale:
        """The scale of the scores, in points."""
        return Scale(100 / self.rows, self.constant, lowest=-100.0 if self.metric in SIGNED_METRICS else 0.0)


@dataclass(frozen=True)
class Cell:
    """One run of the grid."""

    task: str
    method: str
    seed: Seed
    run: str
    """Id of the run; empty where neither a grid nor a record tells it."""
    record: RunRecord | None = None
    """None where there is no result."""
    reason: str = ""
    """Why there is none, and what to do."""
    error: str = ""
    """The error alone, for the list of errors."""
    outcome: Outcome | None = None


def cells_of_records(records: Sequence[RunRecord]) -> list[Cell]:
    """Every task x method x seed that occurs, sorted by these, so that the records' order does not matter.

    A seed that one method has on a task and another has not gives a cell without a record. Runs of another role than
    to be compared are left out. Raises HoldfastError for two records of one cell, for records that cannot be compared,
    and where none is left.
    """
    records = [record for record in records if record.spec.role == "compared"]
    if not records:
        raise HoldfastError(
            "all runs are on perturbed data, of a search or of the pre-trained model; give the records of runs that "
            "compare methods"
        )
    _refuse_mixtures(records)
    # A run that stopped early may not have learned its task's name.
    names = {record.spec.task: record.task_name for record in records if record.task_name}
    sizes = {(record.spec.task, record.spec.train_size) for record in records}
    several = {task for task, size in sizes if any(other == task and rows != size for other, rows in sizes)}
    given: dict[tuple[str, str, Seed], RunRecord] = {}
    for record in records:
        task = _name(record, names, several)
        key = (task, record.spec.method, _seed(record.spec))
        if key in given:
            raise HoldfastError(
                f"runs {given[key].id} and {record.id} are both {key[1]} on {task} with seed {record.spec.seed}; "
                "give one record for each run"
            )
        given[key] = record
    return [
        _cell(task, method, seed, given.get((task, method, seed)))
        for task in sorted({task for task, _, _ in given})
        for method in sorted({method for _, method, _ in given})
        for seed in sorted({seed for other, _, seed in given if other == task})
    ]


def cells_of_grid(
    grid: Sequence[RunSpec], records: Mapping[str, RunRecord], seeds: Sequence[int], names: Mapping[DatasetKey, str]
) -> list[Cell]:
    """A cell for each run of the grid to be compared: tasks and methods in the grid's order, seeds as in ``seeds``.

    ``records`` go by ``RunSpec.id``; ``names`` has the tasks' by ``RunSpec.dataset_key``.
    """
    cells = [
        _cell(names[spec.dataset_key], spec.method, _seed(spec), records.get(spec.id), spec.id)
        for spec in grid
        if spec.role == "compared"
    ]
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    methods = list(dict.fromkeys(cell.method for cell in cells))
    places = {seed: place for place, seed in enumerate(dict.fromkeys([*seeds, *(cell.seed[0] for cell in cells)]))}
    return sorted(
        cells, key=lambda cell: (tasks.index(cell.task), methods.index(cell.method), places[cell.seed[0]], cell.seed)
    )


def facts_of_task(info: TaskInfo) -> TaskFacts:
    """The facts as the loaded task tells them."""
    return TaskFacts(info.metric, info.constant_score, info.scored_rows, info.scored_split)


def facts_of_records(task: str, cells: Iterable[Cell]) -> TaskFacts:
    """The facts as the finished runs of one task tell them; a run that diverged may not know them all.

    Raises HoldfastError when no finished run knows one.
    """
    records = [cell.record for cell in cells if cell.record]
    if not records:
        # Without runs nothing is compared; any scale will do.
        return TaskFacts("", 0.0, 1, "")
    metric = next((record.primary for record in records if record.primary), "")
    constants = [record.constant_scores[metric] for record in records if metric in record.constant_scores]
    rows = max(record.scored_rows for record in records)
    for name, known in (("primary", metric), (f"constant_scores[{metric!r}]", constants), ("scored_rows", rows)):
        if not known:
            raise HoldfastError(f"no record of {task} has {name}, which the comparison needs; run one of them again")
    split = next((record.scored_split for record in records if record.scored_split), "")
    return TaskFacts(metric, 100 * constants[0], rows, split)


def with_outcomes(cells: Sequence[Cell], facts: TaskFacts) -> list[Cell]:
    """The cells of one task, each finished one with its score; failure is judged over all methods together."""
    results = iter(outcomes([cell.record for cell in cells if cell.record], facts.metric, facts.constant))
    return [replace(cell, outcome=next(results)) if cell.record else cell for cell in cells]


def group_of(ended: Sequence[tuple[Seed, Outcome]]) -> Group:
    """The runs of one method that ended, each with all its seeds."""
    return Group(
        scores=tuple(outcome.score for _, outcome in ended),
        failed=tuple(outcome.failed for _, outcome in ended),
        seeds=tuple(seed for seed, _ in ended),
    )


def task_groups(
    task: str, cells: Sequence[Cell], methods: Sequence[str], facts: TaskFacts, per_example: PerExample
) -> TaskGroups:
    """The scores of one task's cells, by method."""
    groups: dict[str, Group] = {}
    right: dict[str, NDArray[np.float64]] = {}
    for method in methods:
        ended = [(cell, cell.outcome) for cell in cells if cell.method == method and cell.outcome]
        groups[method] = group_of([(cell.seed, outcome) for cell, outcome in ended])
        if ended and facts.metric == "accuracy" and all(cell.run in per_example for cell, _ in ended):
            right[method] = np.asarray([per_example[cell.run] for cell, _ in ended], dtype=float)
    return TaskGroups(task, facts.scale, groups, right)


def _name(record: RunRecord, names: Mapping[TaskSpec, str], several: Collection[TaskSpec]) -> str:
    """The name of a record's task, with its training rows where ``several`` numbers of them are compared."""
    task, size = record.spec.task, record.spec.train_size
    name = names.get(task, task.source)
    if task not in several:
        return name
    return f"{name} ({'all' if size is None else size} rows)"


def _seed(spec: RunSpec) -> Seed:
    return (spec.seed, spec.data_seed, spec.subset_seed)


def _cell(task: str, method: str, seed: Seed, record: RunRecord | None, run: str = "") -> Cell:
    if record is None:
        reason = f"run {run} has no result yet; start the study again to run it" if run else "no record was given"
        return Cell(task, method, seed, run, reason=reason, error="no result yet")
    if record.status == "error":
        error = record.error or "no message"
        reason = f"run {record.id} stopped with an error ({error.rstrip('.')}); run the same seed again"
        return Cell(task, method, seed, record.id, reason=reason, error=error)
    return Cell(task, method, seed, record.id, record)


def _refuse_mixtures(records: Sequence[RunRecord]) -> None:
    """Raise HoldfastError when runs of a task differ in more than method, settings and seeds, or a method's do.

    Methods may have settings of their own, as each may have been tuned.
    """
    seen: dict[tuple[str, ...], tuple[object, str]] = {}
    for record in records:
        if record.status == "error":
            continue
        task, spec = record.task_name or record.spec.task.source, record.spec
        facts: dict[tuple[str, ...], object] = {
            (task, "data"): spec.data,
            (task, "model"): spec.model,
            (task, "revision"): spec.revision,
            (task, "scored_split"): record.scored_split,
            (task, "primary"): record.primary,
            (task, "scored_rows"): record.scored_rows,
            (f"{spec.method} on {task}", "settings"): spec.settings,
        }
        for key, fact in facts.items():
            if fact in ("", 0):
                continue  # a run that diverged may not know it
            first, run = seen.setdefault(key, (fact, record.id))
            if first != fact:
                raise HoldfastError(
                    f"runs {run} and {record.id} of {key[0]} differ in {key[1]}; compare runs that share it"
                )

"""Everything that can go wrong before the first run, found before anything is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.records.run import DatasetKey, RunSpec
from holdfast.records.summary import TaskInfo
from holdfast.records.task import OodSpec, TaskSpec
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.fixed_grid import FixedGrid
from holdfast.study.plan.grid import build_grid, resolve_methods
from holdfast.study.plan.policy import Policy
from holdfast.study.plan.references import reference_runs, too_many_rows
from holdfast.study.plan.targets import LoadedTasks, StoredTarget, load_targets, targets_of
from holdfast.tasks.task import Split, Task


class StoredTask(BaseModel):
    """What a study's folder keeps of a task, so that results can be shown without its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    fingerprint: str
    info: TaskInfo
    train_size: int | None = None
    """What the study asked for: a task stands there once for each of its numbers of training rows."""
    targets: list[StoredTarget] = []
    """The data of the tasks that models are scored on beside their own."""

    @property
    def dataset_key(self) -> DatasetKey:
        """``RunSpec.dataset_key`` of the task's runs."""
        return self.source, self.train_size


@dataclass(frozen=True)
class Prepared:
    """A study that is ready to run: resolved, its data loaded and checked."""

    study: StudyFile
    tasks: list[Task]
    """Those of ``study.tasks``, in their order."""
    stored: list[StoredTask]
    """One for each task and number of training rows, tasks first."""
    policy: Policy
    data_dir: Path | None
    eval_tasks: LoadedTasks = field(default_factory=dict)
    """The tasks that models are scored on beside their own."""

    @property
    def grid(self) -> list[RunSpec]:
        """The runs that are certain before any has ended; the policy may ask for more."""
        return list(self.policy.planned({}).runs)

    @property
    def names(self) -> dict[DatasetKey, str]:
        """Task names by ``RunSpec.dataset_key``."""
        return task_names(self.stored)

    @property
    def all_tasks(self) -> LoadedTasks:
        """All tasks, the study's own too."""
        return {**self.eval_tasks, **dict(zip(self.study.tasks, self.tasks, strict=True))}

    def remarks(self) -> Iterator[tuple[Literal["note", "warning"], str]]:
        """Yield what was decided about the data, and what looks wrong with them or the methods."""
        from holdfast.study.plan.controls import control_notes
        from holdfast.tasks.table import listed

        for info in (stored.info for stored in self.stored):
            yield from (("note", f"{info.task}: {note}") for note in info.notes)
            yield from (("warning", f"{info.task}: {warning}") for warning in info.warnings)
        for task in self.tasks:
            if task.unused:
                yield "note", f"{task.name}: columns that are not used: {listed(task.unused)}"
        assert self.study.baseline is not None
        yield from (("note", note) for note in control_notes(self.study.methods, self.study.baseline))


def prepare(study: StudyFile, data_dir: Path | None = None) -> Prepared:
    """Return ``study`` resolved, with its data, after every check that needs no training.

    ``data_dir``: folder of the named tasks' files; None takes the environment's ``HOLDFAST_DATA``. Raises
    ``HoldfastError`` for anything the user must mend first. Writes nothing.
    """
    from holdfast.study.define.recipe import check_followed
    from holdfast.tasks import load_task
    from holdfast.tasks.kinds.predicted import check_labels_rows
    from holdfast.training.models.loading import check_model, load_tokenizer
    from holdfast.training.run.check import check_run

    given, by_default = study, "methods" not in study.model_fields_set
    study = resolve_methods(study)
    check_followed(study)
    # First, since data may take long to load.
    source = ModelSource(study.model, study.revision, study.remote_code, study.pickled_weights)
    check_model(source)
    load_tokenizer(source)
    tasks = [load_task(spec, data_dir) for spec in study.tasks]
    _refuse_same_names(study.tasks, tasks)
    _check_writing(study, tasks)
    if study.sequence is not None:
        for task in tasks:
            check_labels_rows(
                task,
                f"the tasks of a {study.sequence} are probed and share one body, which takes a class or a number a "
                "row; leave it out",
            )
    if by_default and any(task.kind == "generation" for task in tasks):
        study = resolve_methods(study.model_copy(update={"methods": ["vanilla", "r3f"], "baseline": given.baseline}))
        tasks = [replace(task, notes=(*task.notes, _NO_R4F)) for task in tasks]
    study = study.model_copy(
        update={
            "model": _absolute(study.model),
            "tasks": [_absolute_paths(spec) for spec in study.tasks],
            "probed": [_absolute_paths(spec) for spec in study.probed],
            "ood": [ood.model_copy(update={"task": _absolute_paths(ood.task)}) for ood in study.ood],
        }
    )
    loaded = dict(zip(study.tasks, tasks, strict=True))
    eval_tasks = load_targets(study, loaded, data_dir)
    all_tasks: LoadedTasks = {**eval_tasks, **dict(zip(study.tasks, tasks, strict=True))}
    grid = build_grid(study, {key: task.fingerprint for key, task in all_tasks.items()})
    _check_removals(grid, loaded)
    # Seeds make no difference to whether a run can work.
    trained = [spec for spec in grid if not spec.untrained]
    for spec in {(spec.dataset_key, spec.method, spec.role): spec for spec in trained}.values():
        check_run(spec, loaded[spec.task])
    data = [
        StoredTarget(task=key.task if isinstance(key, OodSpec) else key, data=task.fingerprint)
        for key, task in eval_tasks.items()
    ]
    stored = [
        StoredTask(
            source=spec.source,
            fingerprint=task.fingerprint,
            info=_info(task, study, size, eval_tasks, next(run for run in grid if run.task == spec)),
            train_size=size,
            targets=data,
        )
        for spec, task in loaded.items()
        for size in study.train_sizes
    ]
    stored[0].info.warnings.extend(_unread_rows(eval_tasks, loaded, grid[0]))
    references = reference_runs(study, loaded, {one.dataset_key: one.info.train_rows for one in stored})
    return Prepared(study, tasks, stored, FixedGrid([*grid, *references]), data_dir, eval_tasks)


def _unread_rows(eval_tasks: LoadedTasks, own: Mapping[TaskSpec, Task], run: RunSpec) -> list[str]:
    """Warn of what the model's tokenizer cannot see of the tasks that models are scored on beside the study's."""
    from holdfast.training.run.preview import reading_notes

    warnings = []
    for key, task in eval_tasks.items():
        if key not in own:
            # Probes learn from the training rows too.
            names = [task.scored_split] if isinstance(key, OodSpec) else ["train", task.scored_split]
            _, reading_warnings = reading_notes(run, task, {name: task.splits[name] for name in names})
            warnings += [f"{task.name}: {warning}" for warning in reading_warnings]
    return warnings


_NO_R4F = "methods: vanilla and r3f; r4f normalises a head, and where texts are written that is the vocabulary's"


def _check_writing(study: StudyFile, tasks: Sequence[Task]) -> None:
    """Raise ``HoldfastError`` for settings about what to write where nothing is written."""
    if any(task.kind == "generation" for task in tasks):
        return
    for name in ("max_target_length", "num_beams"):
        value = getattr(study.settings, name)
        if value != type(study.settings).model_fields[name].default:
            option = f"--{name.replace('_', '-')} {value}"
            raise HoldfastError(f"{option}: {tasks[0].name} asks for no text to be written; leave it out")


def task_names(stored: Sequence[StoredTask]) -> dict[DatasetKey, str]:
    """Return the tasks' names by ``RunSpec.dataset_key``."""
    return {task.dataset_key: task.info.task for task in stored}


def _absolute(path: str) -> str:
    """Return ``path`` such that it is found from any folder; what is no path stays."""
    local = Path(path).expanduser()
    return str(local.absolute()) if local.exists() else path


def _absolute_paths(spec: TaskSpec) -> TaskSpec:
    from holdfast.tasks import available

    paths = {"source": spec.source, "validation": spec.validation, "test": spec.test}
    # A task's name wins over a folder of that name, as in loading.
    if spec.source in {entry.name for entry in available()}:
        del paths["source"]
    return spec.model_copy(update={key: _absolute(path) for key, path in paths.items() if path is not None})


def _refuse_same_names(specs: Sequence[TaskSpec], tasks: Sequence[Task]) -> None:
    sources: dict[str, str] = {}
    for spec, task in zip(specs, tasks, strict=True):
        if task.name in sources:
            other = sources[task.name]
            same = f"{spec.source} is listed twice" if other == spec.source else f"{other} and {spec.source}"
            raise HoldfastError(
                f"two tasks are named {task.name!r}: {same}; tables tell tasks apart by name, "
                "so rename a file or compare them in two studies"
            )
        sources[task.name] = spec.source


def _check_removals(grid: Sequence[RunSpec], loaded: Mapping[TaskSpec, Task]) -> None:
    """Raise ``HoldfastError`` where a run's training set would lack nothing, or all rows of a class."""
    from holdfast.tasks.sampling.removal import remove_rows

    for (_, perturb), spec in {(spec.dataset_key, spec.perturb): spec for spec in grid}.items():
        if perturb is not None:
            task = loaded[spec.task]
            rows = _train(task, spec.train_size, spec.subset_seed)
            try:
                remove_rows(rows, perturb.remove, perturb.seed, task.label_names)
            except HoldfastError as error:
                raise HoldfastError(f"{task.name}: {error}") from None


def _train(task: Task, size: int | None, subset_seed: int) -> Split:
    """Return the training rows that ``size`` leaves."""
    from holdfast.tasks import draw_subset

    train = task.splits["train"]
    if size is None:
        return train
    try:
        return draw_subset(train, size, subset_seed, task.kind)
    except HoldfastError as error:
        raise HoldfastError(f"{task.name}: {error}") from None


def _too_few_rows(train: Split, size: int | None) -> list[str]:
    if size is None or size <= len(train):
        return []
    return [f"--train-size {size}: there are only {len(train)} training rows, and all of them are used"]


def _info(task: Task, study: StudyFile, size: int | None, eval_tasks: LoadedTasks, run: RunSpec) -> TaskInfo:
    from holdfast.tasks.scoring.metrics import constant_score
    from holdfast.training.run.preview import load_notes, reading_notes

    train = _train(task, size, study.subset_seed)
    learnt = {**task.splits, "train": train}
    labelled = {name: split for name, split in learnt.items() if split.labels is not None}
    read_notes, read_warnings = reading_notes(run, task, labelled)
    scored = task.splits[task.scored_split]
    metric = task.metrics[0]
    constant = constant_score(metric, scored.labels) if scored.labels is not None else 0.0
    selection = (
        _selection(metric, len(train), len(task.splits["validation"]), study)
        if task.scored_split == "test"
        else "of every run the last checkpoint"
    )
    return TaskInfo(
        task=f"{task.name} ({size} rows)" if len(study.train_sizes) > 1 else task.name,
        metric=metric,
        kind=task.kind,
        train_rows=len(train),
        scored_split=task.scored_split,
        scored_rows=len(scored),
        selection=selection,
        constant_score=100 * constant,
        labels=list(task.label_names),
        notes=[*task.notes, *load_notes(run, task), *read_notes, *too_many_rows(study, task, len(train))],
        warnings=[*task.warnings, *_too_few_rows(train, size), *_cut_texts(task, labelled, run), *read_warnings],
        base=task.name,
        targets=targets_of(task, train, study, eval_tasks),
    )


def _selection(metric: str, train_rows: int, validation_rows: int, study: StudyFile) -> str:
    rows = study.settings.selection_rows(train_rows, validation_rows)
    of = "" if rows == validation_rows else f" on {rows} of {validation_rows} rows (--validation-size)"
    return f"of every run the checkpoint with the best validation {metric}{of}"


def _cut_texts(task: Task, labelled: Mapping[str, Split], run: RunSpec) -> list[str]:
    """Warn of texts that are longer than what is kept of them."""
    from holdfast.training.run.preview import count_truncated

    warnings = []
    for option, counts in count_truncated(run, task, labelled).items():
        cut = ", ".join(f"{count} of {len(labelled[name])} {name}" for name, count in counts.items() if count)
        what = "texts to write" if option == "--max-target-length" else "texts"
        length = getattr(run.settings, option.removeprefix("--").replace("-", "_"))
        if cut:
            warnings.append(f"{cut} {what} are longer than {length} tokens and are cut; see {option}")
    return warnings

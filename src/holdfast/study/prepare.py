"""Everything that can go wrong before the first run, found before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from holdfast.errors import HoldfastError
from holdfast.study.grid import build_grid, resolve_methods
from holdfast.study.study_file import StudyFile
from holdfast.study.summary import TaskInfo
from holdfast.tasks.spec import TaskSpec
from holdfast.tasks.task import Split, Task
from holdfast.training.spec import RunSpec


class StoredTask(BaseModel):
    """What a study's folder keeps of a task, so that results can be shown without its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    fingerprint: str
    info: TaskInfo


@dataclass(frozen=True)
class Prepared:
    """A study that is ready to run: resolved, its data loaded and checked."""

    study: StudyFile
    tasks: list[Task]
    stored: list[StoredTask]
    grid: list[RunSpec]
    data_dir: Path | None

    @property
    def names(self) -> dict[str, str]:
        """Task names by task source."""
        return task_names(self.stored)


def prepare(study: StudyFile, data_dir: Path | None = None) -> Prepared:
    """Return ``study`` resolved, with its data, after every check that needs no training.

    ``data_dir``: folder of the named tasks' files; None takes the environment's ``HOLDFAST_DATA``. Raises
    ``HoldfastError`` for anything the user must mend first. Writes nothing.
    """
    from holdfast.tasks import load_task
    from holdfast.training.check import check_run
    from holdfast.training.models import check_model

    study = resolve_methods(study)
    # First, since data may take long to load.
    check_model(study.model, study.revision, study.remote_code, study.pickled_weights)
    tasks = [load_task(spec, data_dir) for spec in study.tasks]
    _refuse_same_names(study.tasks, tasks)
    study = study.model_copy(
        update={"model": _absolute(study.model), "tasks": [_absolute_paths(spec) for spec in study.tasks]}
    )
    grid = build_grid(study, [task.fingerprint for task in tasks])
    loaded = dict(zip(study.tasks, tasks, strict=True))
    _check_removals(grid, loaded)
    # Seeds make no difference to whether a run can work.
    for spec in {(spec.task, spec.method, spec.perturb is None): spec for spec in grid}.values():
        check_run(spec, loaded[spec.task])
    stored = [
        StoredTask(source=spec.source, fingerprint=task.fingerprint, info=_info(task, study))
        for spec, task in loaded.items()
    ]
    return Prepared(study, tasks, stored, grid, data_dir)


def task_names(stored: Sequence[StoredTask]) -> dict[str, str]:
    """Return the tasks' names by their source."""
    return {task.source: task.info.task for task in stored}


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
    from holdfast.tasks.removal import remove_rows

    for (source, perturb), spec in {(spec.task, spec.perturb): spec for spec in grid}.items():
        if perturb is not None:
            task = loaded[source]
            rows = _train(task, spec)
            try:
                remove_rows(rows, perturb.remove, perturb.seed, task.label_names)
            except HoldfastError as error:
                raise HoldfastError(f"{task.name}: {error}") from None


def _train(task: Task, drawn: RunSpec | StudyFile) -> Split:
    """Return the training rows that ``drawn.train_size`` leaves."""
    from holdfast.tasks import draw_subset

    train = task.splits["train"]
    if drawn.train_size is None:
        return train
    try:
        return draw_subset(train, drawn.train_size, drawn.subset_seed, task.kind)
    except HoldfastError as error:
        raise HoldfastError(f"{task.name}: {error}") from None


def _too_few_rows(train: Split, study: StudyFile) -> list[str]:
    if study.train_size is None or study.train_size <= len(train):
        return []
    return [f"--train-size {study.train_size}: there are only {len(train)} training rows, and all of them are used"]


def _info(task: Task, study: StudyFile) -> TaskInfo:
    from holdfast.tasks.metrics import constant_score

    train = _train(task, study)
    scored = task.splits[task.scored_split]
    metric = task.metrics[0]
    constant = constant_score(metric, scored.labels) if scored.labels is not None else 0.0
    selection = (
        f"of every run the checkpoint with the best validation {metric}"
        if task.scored_split == "test"
        else "of every run the last checkpoint"
    )
    return TaskInfo(
        task=task.name,
        metric=metric,
        kind=task.kind,
        train_rows=len(train),
        scored_split=task.scored_split,
        scored_rows=len(scored),
        selection=selection,
        constant_score=100 * constant,
        labels=list(task.label_names),
        notes=list(task.notes),
        warnings=[*task.warnings, *_too_few_rows(train, study), *_cut_texts({**task.splits, "train": train}, study)],
    )


def _cut_texts(splits: Mapping[str, Split], study: StudyFile) -> list[str]:
    """Warn of texts that are longer than what is kept of them."""
    from holdfast.tasks.encode import count_cut
    from holdfast.training.models import load_tokenizer

    tokenizer = load_tokenizer(study.model, study.revision, study.remote_code)
    length = study.settings.max_length
    labelled = {name: split for name, split in splits.items() if split.labels is not None}
    cut = {name: count_cut(split, tokenizer, length) for name, split in labelled.items()}
    told = ", ".join(f"{count} of {len(labelled[name])} {name}" for name, count in cut.items() if count)
    return [f"{told} texts are longer than {length} tokens and are cut; see --max-length"] if told else []

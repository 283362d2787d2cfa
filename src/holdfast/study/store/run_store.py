"""The folder of a study: what is planned, and one sub-folder a run.

::

    study.yaml      the study, resolved
    tasks.json      what its data were
    plan.json       the runs it asked for so far, in the order of the tables, and the version of their identities
    looks.json      the interim analyses of its results
    layers.json     distances between runs' representations, so that a report need not measure them again
    runs/<id>/      spec.json, record.json, predictions.npz, representations.npz, log.txt, error.txt,
                    model/ (the best run's only)

A run counts when its ``record.json`` exists, which is written last and in one move.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zipfile import BadZipFile

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from holdfast.errors import HoldfastError
from holdfast.records.run import SCHEMA, DatasetKey, RunRecord, RunSpec
from holdfast.records.task import TaskSpec
from holdfast.study.define.study_file import StudyFile, load_study, to_yaml
from holdfast.study.plan.prepare import StoredTask, task_names
from holdfast.study.store.atomic import write_text
from holdfast.study.store.interim import ANALYSES, InterimAnalysis
from holdfast.study.store.lock import LOCK, locked

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_TASKS = TypeAdapter(list[StoredTask])
_FREE = {"methods", "seeds", "data_seeds", "perturb", "references", "workers", "threads"}
"""Keys in which a study may grow, or which do not touch its results."""


class _Plan(BaseModel):
    """The content of ``plan.json``."""

    model_config = ConfigDict(extra="forbid")

    run_schema: int
    """``holdfast.records.run.SCHEMA`` of the runs."""
    runs: list[RunSpec]


class Store:
    """Reads and writes a study's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = folder / "runs"
        self._plan = folder / "plan.json"
        self._names: dict[DatasetKey, str] = {}

    @property
    def exists(self) -> bool:
        """Whether the folder holds a study."""
        return (self.folder / "study.yaml").is_file()

    def check(self, study: StudyFile, tasks: Sequence[StoredTask]) -> None:
        """Raise ``HoldfastError`` when the folder cannot take this (resolved) study. Writes nothing.

        It takes a study when it is empty, holds the same one, or one with some of its seeds and methods or without
        its perturbed data.
        """
        if not self.exists:
            self._check_empty()
            return
        held, held_tasks = self.load()
        difference = _difference(held, study) or _changed_data(held_tasks, tasks)
        if difference:
            raise HoldfastError(f"{self.folder} holds another study: {difference}; choose another --out")

    @contextmanager
    def open(self, study: StudyFile, tasks: Sequence[StoredTask], planned: Sequence[RunSpec]) -> Iterator[None]:
        """Create the folder where needed, lock it, and write down the study and the runs it begins with."""
        self.check(study, tasks)
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder):
            # Another process may have been faster with another study.
            self.check(study, tasks)
            write_text(self.folder / "tasks.json", _TASKS.dump_json(list(tasks), indent=2).decode())
            if not self.exists:
                # A start that was killed at once may have left that of another study.
                self._plan.unlink(missing_ok=True)
            self.plan(planned)
            write_text(self.folder / "study.yaml", to_yaml(study))
            self._names = task_names(tasks)
            yield

    def load(self) -> tuple[StudyFile, list[StoredTask]]:
        """Return the study in the folder and its tasks.

        Raises ``HoldfastError`` when there is none, or one of a version whose runs cannot be told apart from today's.
        """
        if not self.exists:
            raise HoldfastError(f"{self.folder} holds no study (no study.yaml in it); check the path")
        self._check_schema()
        study = load_study(self.folder / "study.yaml")
        return study, _read(self.folder / "tasks.json", _TASKS.validate_json)

    def plan(self, runs: Sequence[RunSpec]) -> None:
        """Write down that the study asks for ``runs``, in this order; what it asked for before stays, after them."""
        held = self.planned()
        known = {spec.id: spec for spec in [*runs, *held]}
        if list(known) != [spec.id for spec in held]:
            write_text(self._plan, _Plan(run_schema=SCHEMA, runs=list(known.values())).model_dump_json(indent=2))

    def planned(self) -> list[RunSpec]:
        """Return the runs that the study asked for so far, done or not, in the order of the tables."""
        return _read(self._plan, _Plan.model_validate_json).runs if self._plan.exists() else []

    def task_name(self, spec: RunSpec) -> str:
        """Return the name of a run's task. The store is open."""
        return self._names[spec.dataset_key]

    def record(self, run: str) -> RunRecord | None:
        """Return the record of a run by its id, None when the run has not ended."""
        path = self.runs / run / "record.json"
        return _read(path, RunRecord.model_validate_json) if path.exists() else None

    def records(self) -> dict[str, RunRecord]:
        """Return the records of the planned runs that ended, in the plan's order, by id."""
        return {spec.id: record for spec in self.planned() if (record := self.record(spec.id)) is not None}

    def arrays(self, run: str, file: str, *names: str) -> "tuple[NDArray[Any], ...] | None":
        """Return arrays of an archive that a run left, None where there is none.

        Raises ``HoldfastError`` for an archive that cannot be read.
        """
        import numpy as np

        path = self.runs / run / file
        if not path.is_file():
            return None
        try:
            with path.open("rb") as opened, np.load(opened) as saved:
                return tuple(np.asarray(saved[name]) for name in names)
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise damaged(path, error) from None

    def begin(self, spec: RunSpec) -> Path:
        """Return a fresh folder for a run, with its ``spec.json``; what an unfinished attempt left is removed."""
        folder = self.runs / spec.id
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        write_text(folder / "spec.json", spec.model_dump_json(indent=2))
        return folder

    def analyses(self) -> list[InterimAnalysis]:
        """Return the interim analyses so far, none when the results were never summarised."""
        path = self.folder / "looks.json"
        return _read(path, ANALYSES.validate_json) if path.exists() else []

    def save_analyses(self, analyses: list[InterimAnalysis]) -> None:
        """Write down the interim analyses."""
        write_text(self.folder / "looks.json", ANALYSES.dump_json(analyses, indent=2).decode())

    def _check_schema(self) -> None:
        try:
            schema = json.loads(self._plan.read_bytes())["run_schema"]
        except FileNotFoundError:
            # There was none before version 2.
            schema = 1
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise damaged(self._plan, error) from None
        if schema != SCHEMA:
            raise HoldfastError(
                f"{self.folder} holds runs of another version of Holdfast (run schema {schema}, here {SCHEMA}), which "
                "this one can neither show nor continue; start the study again with another --out"
            )

    def _check_empty(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise HoldfastError(f"{self.folder} is a file; --out names a folder")
        if not self.folder.exists():
            return
        # A start that was killed at once leaves only these.
        own = {LOCK, "tasks.json", "plan.json"}
        others = sorted(p.name for p in self.folder.iterdir() if p.name not in own and p.suffix != ".partial")
        if others:
            raise HoldfastError(
                f"{self.folder} is not empty and holds no study ({others[0]} is in it); choose another --out"
            )


def _read(path: Path, parse: Callable[[bytes], T]) -> T:
    """Return what a file of a study holds. Raises ``HoldfastError`` where it cannot be read."""
    try:
        return parse(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged(path, error) from None


def write_record(folder: Path, record: RunRecord) -> None:
    """Write a run's record into its folder, which makes the run count."""
    write_text(folder / "record.json", record.model_dump_json(indent=2))


def _difference(held: StudyFile, study: StudyFile) -> str | None:
    for key in StudyFile.model_fields:
        there, here = getattr(held, key), getattr(study, key)
        if key not in _FREE and there != here:
            if isinstance(there, type(study.settings)):
                key, there, here = next(
                    (f"{key}.{name}", getattr(there, name), getattr(here, name))
                    for name in type(there).model_fields
                    if getattr(there, name) != getattr(here, name)
                )
            return f"{key} is {_short(there)} there and {_short(here)} here"
    lost_methods = [method for method in held.methods if method not in study.methods]
    if lost_methods:
        return f"methods there include {lost_methods[0]}, which may be added to but not dropped"
    if held.perturb and not study.perturb:
        return f"perturb is {held.perturb} there, which may be added but not dropped"
    lost_seeds = [pair for pair in held.seed_pairs if pair not in study.seed_pairs]
    if lost_seeds:
        return f"seeds there include {_seeds(lost_seeds[0])}, and seeds may be added to but not dropped"
    if held.perturb and held.seed_pairs[0] != study.seed_pairs[0]:
        there, here = _seeds(held.seed_pairs[0]), _seeds(study.seed_pairs[0])
        return f"runs on perturbed data have the first seed, which is {there} there and {here} here"
    return None


def _seeds(pair: tuple[int, int]) -> str:
    seed, data_seed = pair
    return str(seed) if seed == data_seed else f"{seed} with data seed {data_seed}"


def _changed_data(held: Sequence[StoredTask], tasks: Sequence[StoredTask]) -> str | None:
    for there, here in zip(held, tasks, strict=True):
        if there.fingerprint != here.fingerprint:
            return f"the rows of task {here.info.task} ({here.source}) have changed since it began"
        for before, now in zip(there.targets, here.targets, strict=True):
            if before.data != now.data:
                return f"the rows of task {now.task.source} have changed since it began"
    return None


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    if isinstance(value, TaskSpec):
        given = value.model_dump(exclude_defaults=True, exclude={"source"})
        return value.source + (f" ({', '.join(f'{key} {given[key]}' for key in given)})" if given else "")
    return json.dumps(value)


def damaged(path: Path, error: Exception) -> HoldfastError:
    """Return the error to raise for a file of a study that cannot be read."""
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return HoldfastError(f"{path} is damaged ({reason}); delete {path.parent} and start again")

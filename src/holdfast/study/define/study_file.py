"""A study as one file: what is compared with what, over which seeds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from holdfast.errors import HoldfastError
from holdfast.records.run import ProbeSettings, TrainingSettings
from holdfast.records.task import OodSpec, TaskSpec
from holdfast.study.define.validated import KeyPath, validated

CONSENT = {
    "remote_code": "runs code that comes with the model",
    "pickled_weights": "loads pickled weights, which may run code",
}
"""What only the user may switch on, by a flag of the command at hand."""

_MOST_SEEDS = 10_000
"""A larger number is a seed, not how many."""


class StudyFile(BaseModel):
    """A grid of runs and how its results are judged, read from YAML or made of command-line options."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = "minilm"
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    seq2seq_from_encoder: bool = False
    """``model`` is an encoder; encoder and decoder are made of it, to write texts."""
    tasks: list[TaskSpec] = Field(min_length=1)
    """Names, paths, or mappings with a ``source`` and columns."""
    methods: list[str] = Field(default=["vanilla", "r3f", "r4f"], min_length=1)
    baseline: str | None = None
    """The method all others are compared with; ``vanilla`` when that is in the list, else the first."""
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """A number n means 0 to n - 1."""
    data_seeds: list[int] | None = None
    """Order of the training rows, one for each of ``seeds``; None takes the same numbers."""
    subset_seed: int = 0
    train_size: int | list[int] | None = None
    """Rows drawn from the training split; several give a learning curve, each set containing the smaller ones."""
    ood: list[OodSpec] = []
    """Tasks that every tuned model is scored on as it is."""
    probed: list[TaskSpec] = []
    """Tasks that linear probes of every tuned model's frozen body are trained and scored on."""
    probe: ProbeSettings = ProbeSettings()
    monitor: int | None = Field(default=None, gt=0)
    """Optimizer steps between looks at the representation during training."""
    references: bool = True
    """Whether linear models on TF-IDF and on the pre-trained model's states are fitted beside the runs."""
    sequence: Literal["chain", "cycles"] | None = None
    """Tunes one model on the tasks in turn: ``chain`` probes the first task after each, ``cycles`` goes round them
    ``cycles`` times and probes each task before its own turn."""
    cycles: int = Field(default=3, gt=1)
    perturb: Literal["data"] | None = None
    """``data``: beside its seeds every method also trains, with the first of them, on as many training sets that
    lack 10 % of their rows, to tell variance over rows from variance over seeds."""
    settings: TrainingSettings = TrainingSettings()
    delta: float = Field(default=1.0, gt=0)
    """Smallest difference that matters, in points; decided before the runs."""
    max_seeds: int | None = None
    """Declares that seeds may be added once, up to so many: both looks then use 97.5 % intervals."""
    workers: int = Field(default=1, ge=0)
    """Runs at a time, each in a worker process; 0 runs in this process."""
    threads: int | None = Field(default=None, gt=0)
    """CPU threads of a run; None shares the cores among the workers."""
    remote_code: bool = False
    pickled_weights: bool = False
    recipe: str | None = None
    """The recipe that the study follows, whose paper's results are shown beside the measured ones."""
    smoke: Literal[True] | None = None
    """The recipe's smoke form: a tiny random model on generated text, whose scores mean nothing."""

    @field_validator("tasks", "probed", mode="before")
    @classmethod
    def _tasks(cls, value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        return [{"source": item} if isinstance(item, str) else item for item in items]

    @field_validator("ood", mode="before")
    @classmethod
    def _ood(cls, value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        items = [{"source": item} if isinstance(item, str) else item for item in items]
        items = [{"task": item} if isinstance(item, dict) and "task" not in item else item for item in items]
        named = [isinstance(item, dict) and isinstance(item["task"], str) for item in items]
        return [
            {**item, "task": {"source": item["task"]}} if short else item
            for item, short in zip(items, named, strict=True)
        ]

    @field_validator("train_size")
    @classmethod
    def _sizes(cls, value: int | list[int] | None) -> int | list[int] | None:
        sizes = value if isinstance(value, list) else [] if value is None else [value]
        for size in sizes:
            if size < 1:
                raise ValueError(f"{size} rows are none to train on; give at least 1")
            if sizes.count(size) > 1:
                raise ValueError(f"{size} is listed twice; list each number of rows once")
        if isinstance(value, list):
            if len(sizes) > 1:
                return sorted(sizes)
            return sizes[0] if sizes else None
        return value

    @field_validator("methods", mode="before")
    @classmethod
    def _methods(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("seeds", "data_seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if value < 1:
            raise ValueError(f"a study needs at least one seed (got {value})")
        if value > _MOST_SEEDS:
            raise ValueError(f"{value} seeds are more than {_MOST_SEEDS}; one seed alone is written as a list")
        return list(range(value))

    @field_validator("seeds", "data_seeds")
    @classmethod
    def _not_negative(cls, value: list[int] | None) -> list[int] | None:
        for seed in value or ():
            if not 0 <= seed < 2**32:
                raise ValueError(f"a seed is a number from 0 to 4294967295 (got {seed})")
        return value

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: list[int]) -> list[int]:
        for seed in value:
            if value.count(seed) > 1:
                raise ValueError(f"seed {seed} is listed twice; every run needs a seed of its own")
        return value

    @model_validator(mode="after")
    def _agree(self) -> "StudyFile":
        if self.data_seeds is not None and len(self.data_seeds) != len(self.seeds):
            raise ValueError(
                f"data_seeds has {len(self.data_seeds)} values and seeds has {len(self.seeds)}; "
                "give one for each seed, or leave data_seeds out"
            )
        if self.sequence is not None:
            self._check_sequence()
        elif self.probe != ProbeSettings() and not self.probed:
            raise ValueError("how to probe is told and no task to probe on; name some with --probe")
        if self.sequence != "cycles" and self.cycles != StudyFile.model_fields["cycles"].default:
            raise ValueError(f"cycles is {self.cycles} and sequence is not cycles; leave one out or set the other")
        if self.perturb is not None and len(self.seeds) < 2:
            raise ValueError(
                "perturb draws a training set for each seed, and one alone is compared with nothing; "
                "give at least two seeds, or leave perturb out"
            )
        if self.max_seeds is not None and self.max_seeds < len(self.seeds):
            raise ValueError(
                f"max_seeds is {self.max_seeds} and there are {len(self.seeds)} seeds; max_seeds declares how many "
                "there may be after one top-up, so it cannot be smaller"
            )
        return self

    def _check_sequence(self) -> None:
        if len(self.tasks) < 2:
            raise ValueError(f"{self.sequence} tunes on several tasks in turn and there is one; name at least two")
        if isinstance(self.train_size, list):
            raise ValueError(f"{self.sequence} takes one train_size for all stages, not {len(self.train_size)}")
        for key in ("ood", "probed", "perturb"):
            if getattr(self, key):
                raise ValueError(f"{key} does not go with {self.sequence}, which has probes of its own; leave it out")

    @property
    def train_sizes(self) -> list[int | None]:
        """The numbers of training rows, smallest first; None for all rows."""
        return list(self.train_size) if isinstance(self.train_size, list) else [self.train_size]

    @property
    def seed_pairs(self) -> list[tuple[int, int]]:
        """Each seed with its data seed, in order."""
        return list(zip(self.seeds, self.data_seeds or self.seeds, strict=True))

    @property
    def alpha(self) -> float:
        """Significance level of an analysis: two declared ones share 5 % (Bonferroni)."""
        return 0.05 if self.max_seeds is None else 0.025


def load_study(path: Path) -> StudyFile:
    """Return the study that the YAML file at ``path`` describes.

    Raises ``HoldfastError`` for an unreadable file, unknown keys and wrong values.
    """
    return validated(StudyFile, load_yaml(path), lambda place: f"{path}: {_key(place)}" if place else str(path))


def read_study(path: Path, options: Mapping[str, Any]) -> StudyFile:
    """Return the study in the YAML file at ``path``, with command-line ``options`` in place of its keys.

    ``options`` has keys of ``StudyFile``; ``settings`` and ``probe`` are merged key by key. Raises ``HoldfastError`` as
    ``load_study`` does, and when the file asks for the model's own code or pickled weights and ``options`` do
    not: a file from elsewhere must not switch them on.
    """
    study = load_study(path)
    for flag, danger in CONSENT.items():
        if getattr(study, flag) and not options.get(flag):
            raise HoldfastError(
                f"{path}: {flag} {danger}; add --{flag.replace('_', '-')} to the command if you trust the model"
            )
    values = study.model_dump(exclude_unset=True)
    parts = {key: {**values.get(key, {}), **options.get(key, {})} for key in ("settings", "probe")}
    return from_options({**values, **options, **parts})


def from_options(options: Mapping[str, Any]) -> StudyFile:
    """Return the study that command-line options describe; mistakes are told by the option's name."""
    return validated(StudyFile, options, _option)


def to_yaml(study: StudyFile) -> str:
    """Return the text of a study file with every key spelled out, defaults too."""
    values = study.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def load_yaml(path: Path) -> dict[str, Any]:
    """Return the keys of the YAML file at ``path``. Raises ``HoldfastError`` where it cannot be read."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise HoldfastError(f"{path}: there is no such study file, check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HoldfastError(f"{path}: cannot be read ({error}); a study file is YAML in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" line {error.problem_mark.line + 1}:"
        raise HoldfastError(f"{path}:{line} {error.problem}; mend the YAML there") from None
    except yaml.YAMLError as error:
        raise HoldfastError(f"{path}: {' '.join(str(error).split())}; mend the YAML there") from None
    if not isinstance(values, dict):
        raise HoldfastError(f"{path}: a study file is a list of `key: value` lines such as `tasks: [rte]`")
    return values


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if (name := str(key.value)) in seen:
                raise yaml.MarkedYAMLError(problem=f"{name} is given twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def _key(place: KeyPath) -> str:
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _option(place: KeyPath) -> str:
    names = [step for step in place if isinstance(step, str)]
    if "read" in names[:-1]:
        return f"--read {names[-1]}"
    return f"--{names[-1].replace('_', '-')}" if names else "options"

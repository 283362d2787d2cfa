"""The rows of a run as its model takes them, and which of them methods choose by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.methods.base import Method
from holdfast.records.run import RunSpec
from holdfast.tasks import draw_subset
from holdfast.tasks.encode import EncodedSplit
from holdfast.tasks.sampling.holdout import hold_out
from holdfast.tasks.sampling.removal import remove_rows
from holdfast.tasks.task import Split, Task
from holdfast.training.run.run_cache import RunCache
from holdfast.training.task_models import TaskModel

HELD_OUT = 0.1
"""Share of the training rows that methods choose by where the validation rows are scored."""


def training_rows(spec: RunSpec, task: Task, methods: Sequence[Method]) -> tuple[Split, Split | None]:
    """Return the training rows of a run, and those held out of them for methods that need validation.

    None are held out where no method needs them, or where the task has validation rows that are not scored: the
    training rows are then the same for every method. Raises ``HoldfastError`` where none can be held out.
    """
    train = task.splits["train"]
    if spec.train_size is not None:
        train = draw_subset(train, spec.train_size, spec.subset_seed, task.kind)
    if spec.perturb is not None:
        train = remove_rows(train, spec.perturb.remove, spec.perturb.seed, task.label_names)
    needing = [method.name for method in methods if method.requires.validation]
    if not needing or task.scored_split != "validation":
        return train, None
    return hold_out(train, HELD_OUT, task.kind, f"task {task.name}, for {needing[0]} to choose by")


@dataclass(frozen=True)
class RunData:
    """The rows of a run as its model takes them."""

    task: Task
    splits: dict[str, Split]
    """The task's, with the training rows of the run."""
    encoded: dict[str, EncodedSplit]
    """Of each labelled split."""
    truncated: dict[str, int]
    """Rows of each that were cut."""
    choosing: tuple[EncodedSplit, Split] | None
    """What the best step, or a method, is chosen by; None where nothing is."""

    @property
    def best_step(self) -> bool:
        """Whether the best step is scored: not where the validation rows, which choose it, are what is scored."""
        return self.task.scored_split != "validation"


def encode_run(task_model: TaskModel, tokenizer: Any, methods: Sequence[Method], cache: RunCache) -> RunData:
    """Return the rows of a run. Raises ``HoldfastError`` as ``training_rows`` and ``TaskModel.encode`` do."""
    task, spec = task_model.task, task_model.spec
    splits = dict(task.splits)
    splits["train"], held_out = training_rows(spec, task, methods)
    drawn = (spec.train_size, spec.subset_seed, spec.perturb, held_out is not None)

    def encode(name: str, split: Split) -> tuple[EncodedSplit, int]:
        key = (
            "rows",
            type(task_model),
            spec.source,
            task.fingerprint,
            name,
            _lengths(spec),
            drawn if split is not task.splits.get(name) else (),
        )
        return cache.get(key, lambda: task_model.encode(split, tokenizer, training=name == "train"))

    encoded, truncated = {}, {}
    for name, split in splits.items():
        if split.labels is not None:
            encoded[name], truncated[name] = encode(name, split)
    choosing = None
    if held_out is not None:
        choosing = _longest_first(encode("held out", held_out)[0], held_out)
    elif task.scored_split != "validation":
        choosing = _longest_first(*_selection(encoded["validation"], splits["validation"], splits["train"], task_model))
    return RunData(task, splits, encoded, truncated, choosing)


def _selection(rows: EncodedSplit, split: Split, train: Split, task_model: TaskModel) -> tuple[EncodedSplit, Split]:
    """Return the validation rows that choose the checkpoint: as few as a user with these training rows has."""
    spec = task_model.spec
    size = spec.settings.selection_rows(len(train), len(split))
    if size == len(split):
        return rows, split
    place = {name: row for row, name in enumerate(split.ids)}
    chosen = draw_subset(split, size, spec.subset_seed, task_model.task.kind)
    return EncodedSplit([rows[place[name]] for name in chosen.ids]), chosen


def by_length(rows: EncodedSplit) -> list[int]:
    """Return the places of ``rows``, the longest first: batches are padded least, and the largest is the first."""

    return sorted(range(len(rows)), key=lambda row: -length_of(rows[row]))


def length_of(row: Mapping[str, Any]) -> int:
    """Return the number of tokens of an encoded row, of the longest of its choices where it has some."""
    ids = row.get("input_ids", row.get("prompt", ()))
    return max(map(len, ids), default=0) if ids and isinstance(ids[0], list) else len(ids)


def _longest_first(rows: EncodedSplit, split: Split) -> tuple[EncodedSplit, Split]:
    order = by_length(rows)
    return EncodedSplit([rows[row] for row in order]), split.take(order)


def _lengths(spec: RunSpec) -> tuple[object, ...]:
    """Return what of a run decides how its texts become tokens, beside its model and task."""
    settings = spec.settings
    return settings.max_length, settings.max_target_length, spec.seq2seq_from_encoder

"""What is known of a run before it begins."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import RunSpec
from holdfast.tasks.task import Split, Task
from holdfast.tasks.unknown import unknown_notes
from holdfast.training.models.adapters import base_of, has_adapters
from holdfast.training.models.loading import load_tokenizer, resolve
from holdfast.training.task_models import task_model_of


def load_notes(run: RunSpec, task: Task) -> list[str]:
    """Return what the user should know of how the model is made: of adapters, and of a head of its own."""
    notes = task_model_of(run, task).notes()
    source = resolve(run.model)
    if has_adapters(source):
        note = f"the model is {base_of(source)[0]} with the adapters in {source} merged into it"
        if task.label_names:
            note += "; no file says the classes of a head that came with them, so none is kept"
        notes.insert(0, note)
    return notes


def count_truncated(run: RunSpec, task: Task, splits: Mapping[str, Split]) -> dict[str, dict[str, int]]:
    """Return how many rows of each of ``splits`` are cut, by the option that would keep them whole and by split."""
    tokenizer = load_tokenizer(run.source)
    task_model = task_model_of(run, task)
    counts = {name: task_model.count_cut(split, tokenizer) for name, split in splits.items()}
    options = next(iter(counts.values()), {})
    return {option: {name: count[option] for name, count in counts.items()} for option in options}


def decoded_rows(run: RunSpec, task: Task, rows: Sequence[int]) -> list[str]:
    """Return the tokens that the model sees of some training rows of ``task``, as text, special ones included."""
    tokenizer = load_tokenizer(run.source)
    encoded, _ = task_model_of(run, task).encode(task.splits["train"].take(list(rows)), tokenizer, training=True)
    # Choices have a list of tokens each.
    texts = [row["input_ids"] if task.kind == "choice" else [row["input_ids"]] for row in encoded.rows]
    return [" | ".join(tokenizer.decode(ids) for ids in row) for row in texts]


def reading_notes(run: RunSpec, task: Task, splits: Mapping[str, Split]) -> tuple[list[str], list[str]]:
    """Return notes and warnings of what the model's tokenizer cannot see of ``splits`` of ``task``."""
    return unknown_notes(splits, load_tokenizer(run.source), task.kind)

"""How many texts are longer than what is kept of them."""

from collections.abc import Mapping

from holdfast.tasks.task import Split, Task
from holdfast.training.forms import form_of
from holdfast.training.models import load_tokenizer
from holdfast.training.spec import RunSpec


def count_cuts(run: RunSpec, task: Task, splits: Mapping[str, Split]) -> dict[str, dict[str, int]]:
    """Return how many rows of each of ``splits`` are cut, by the option that would keep them whole and by split."""
    tokenizer = load_tokenizer(run.model, run.revision, run.remote_code)
    form = form_of(run, task)
    counts = {name: form.count_cut(split, tokenizer) for name, split in splits.items()}
    options = next(iter(counts.values()), {})
    return {option: {name: count[option] for name, count in counts.items()} for option in options}

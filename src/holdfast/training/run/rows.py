"""Which rows a run trains on, and which it keeps apart for methods that choose by validation."""

from collections.abc import Sequence

from holdfast.methods.base import Method
from holdfast.records.run import RunSpec
from holdfast.tasks import draw_subset
from holdfast.tasks.sampling.holdout import hold_out
from holdfast.tasks.sampling.removal import remove_rows
from holdfast.tasks.task import Split, Task

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

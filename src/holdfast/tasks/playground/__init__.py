"""Generated English tasks: any size, no download, with a shortcut that training mostly rewards and tests do not."""

from holdfast.errors import HoldfastError, nearest
from holdfast.tasks.playground.agreement import AGREEMENT
from holdfast.tasks.playground.entailment import ENTAILMENT
from holdfast.tasks.playground.grammar import TENTHS, generate_splits
from holdfast.tasks.playground.negation import NEGATION
from holdfast.tasks.task import Split, Task

GENERATED = {grammar.name: grammar for grammar in (AGREEMENT, ENTAILMENT, NEGATION)}
"""The generated tasks by their name after ``playground/``."""

DEFAULT_SIZE = 200
_SEED = 0
"""One data set a size: what a study varies is which rows are drawn and how they are trained on."""


def generate(name: str, size: int = DEFAULT_SIZE, seed: int = _SEED) -> dict[str, Split]:
    """Make ``size`` training rows and the splits ``validation`` (300), ``test`` (500) and ``ood`` (500).

    ``ood`` has sentence patterns and words of its own. The same arguments give the same rows everywhere.
    Raises ``HoldfastError`` for an unknown name and for a size that is too large or too small.
    """
    if name not in GENERATED:
        known = ", ".join(f"playground/{known}" for known in GENERATED)
        raise HoldfastError(f"playground/{name}: no such generated task{nearest(name, GENERATED)}; there are {known}")
    return generate_splits(GENERATED[name], size, seed)


def generate_task(source: str, size: int | None) -> Task:
    """The task ``playground/<name>``, without a fingerprint yet."""
    name = source.partition("/")[2]
    splits = generate(name, DEFAULT_SIZE if size is None else size)
    grammar = GENERATED[name]
    notes = (
        f"generated: a shortcut ({grammar.shortcut}) is right on {10 * TENTHS['train']} % of the training and "
        f"validation rows, and on {10 * TENTHS['test']} % of the test and out-of-domain (ood) rows",
    )
    return Task(source, "classification", splits, grammar.labels, grammar.metrics, "", notes)


__all__ = ["DEFAULT_SIZE", "GENERATED", "generate", "generate_task"]

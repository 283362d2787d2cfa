"""What every task is once loaded: texts, labels, metrics, and what was decided while loading."""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["classification", "regression"]


@dataclass(frozen=True)
class Split:
    """Rows of one split, in file order. All lists have the same length, the number of rows."""

    texts: list[str]
    pairs: list[str] | None
    labels: list[int] | list[float] | None
    """Class indices into ``Task.label_names``, floats for regression, None where the split is unlabelled."""
    ids: list[str]
    """Stable row names, for per-example predictions."""

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: list[int]) -> "Split":
        """The given rows, in the given order."""
        return Split(
            texts=[self.texts[i] for i in rows],
            pairs=None if self.pairs is None else [self.pairs[i] for i in rows],
            labels=None if self.labels is None else [self.labels[i] for i in rows],
            ids=[self.ids[i] for i in rows],
        )


@dataclass(frozen=True)
class Task:
    """A loaded task: validated splits and how to score them."""

    name: str
    """Short name used in tables, e.g. ``rte`` or ``tickets`` for ``data/tickets.csv``."""
    kind: Kind
    splits: dict[str, Split]
    """Always ``train`` and ``validation``; often ``test``; others (``ood``) may follow."""
    label_names: tuple[str, ...]
    """Class names in the order of their indices; empty for regression."""
    metrics: tuple[str, ...]
    """Metric names, the primary one first."""
    fingerprint: str
    """SHA-256 (hex) of all rows: the data's part of a run's identity."""
    notes: tuple[str, ...] = field(default=())
    """What was decided while loading and the user should be told (guessed columns, held-out rows)."""
    warnings: tuple[str, ...] = field(default=())
    """What looks wrong but was accepted, with counts (overlap between splits)."""

    @property
    def scored_split(self) -> str:
        """The split whose score is reported: labelled test data where there are any, else validation."""
        test = self.splits.get("test")
        return "test" if test is not None and test.labels is not None else "validation"

    @property
    def num_outputs(self) -> int:
        """Size of the model's head: one output for regression."""
        return 1 if self.kind == "regression" else len(self.label_names)

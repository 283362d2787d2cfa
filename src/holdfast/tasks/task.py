"""What every task is once loaded: texts, labels, metrics, and what was decided while loading."""

from dataclasses import dataclass, field, fields
from typing import Any

from holdfast.records.task import Kind

Labels = list[int] | list[float] | list[str] | list[list[int]]
"""Of a split: see ``Split.labels``."""


@dataclass(frozen=True)
class Origin:
    """Where the rows of a split come from."""

    place: str
    """The file, or the hub id and split."""
    lines: int | None
    """Lines of the file that are neither blank nor the header's; None where it has none."""
    rows: int
    """Rows made of them."""


@dataclass(frozen=True)
class Split:
    """Rows of one split, in file order. All lists have the same length, the number of rows."""

    texts: list[str]
    """For ``tokens`` the words with single spaces between them."""
    pairs: list[str] | None
    labels: Labels | None
    """Class indices into ``Task.label_names``; for regression floats, for ``tokens`` a class for every word, for
    ``choice`` the index of the right choice, for ``generation`` texts. None where the split is unlabelled."""
    ids: list[str]
    """Stable row names, for per-example predictions."""
    words: list[list[str]] | None = None
    """For ``tokens``: the words of each row."""
    choices: list[list[str]] | None = None
    """For ``choice``: what may follow each text, as many for every row."""
    references: list[list[str]] | None = None
    """For ``generation``: all texts that count as right, where rows have several; ``labels`` holds the first."""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def classes(self) -> list[int]:
        """The labels of a split whose rows have a class, or a right choice, each; empty where it is unlabelled."""
        return [int(label) for label in self.labels or ()]  # type: ignore[arg-type]

    @property
    def numbers(self) -> list[float]:
        """The labels of a split for regression; empty where it is unlabelled."""
        return [float(label) for label in self.labels or ()]  # type: ignore[arg-type]

    @property
    def tags(self) -> list[list[int]]:
        """The labels of a split whose words have a class each; empty where it is unlabelled."""
        return [list(label) for label in self.labels or ()]  # type: ignore[arg-type]

    @property
    def targets(self) -> list[str]:
        """The labels of a split for generation; empty where it is unlabelled."""
        return [str(label) for label in self.labels or ()]

    @property
    def accepted(self) -> list[list[str]]:
        """For generation: all texts that count as right, of each row."""
        return self.references or [[target] for target in self.targets]

    def take(self, rows: list[int]) -> "Split":
        """The given rows, in the given order."""
        columns: dict[str, Any] = {column.name: getattr(self, column.name) for column in fields(self)}
        taken: dict[str, Any] = {name: values and [values[i] for i in rows] for name, values in columns.items()}
        return Split(**taken)


@dataclass(frozen=True)
class Task:
    """A loaded task: validated splits and how to score them."""

    name: str
    """Short name used in tables, e.g. ``rte`` or ``tickets`` for ``data/tickets.csv``."""
    kind: Kind
    splits: dict[str, Split]
    """Always ``train`` and ``validation``; often ``test``; others (``ood``) may follow."""
    label_names: tuple[str, ...]
    """Class names in the order of their indices; of ``choice`` what the choices are called; else empty."""
    metrics: tuple[str, ...]
    """Metric names, the primary one first."""
    fingerprint: str
    """SHA-256 (hex) of all rows: the data's part of a run's identity."""
    notes: tuple[str, ...] = field(default=())
    """What was decided while loading and the user should be told (guessed columns, held-out rows)."""
    warnings: tuple[str, ...] = field(default=())
    """What looks wrong but was accepted, with counts (overlap between splits)."""
    used: tuple[tuple[str, str], ...] = field(default=())
    """What is learned from which column: ``("text", "review")``; none where the task is generated."""
    unused: tuple[str, ...] = field(default=())
    """The other columns of the user's own data."""
    origins: tuple[Origin, ...] = field(default=())

    @property
    def scored_split(self) -> str:
        """The split whose score is reported: labelled test data where there are any, else validation."""
        test = self.splits.get("test")
        return "test" if test is not None and test.labels is not None else "validation"

    @property
    def labels_rows(self) -> bool:
        """Whether each row has a class or a number: what any classifier's body takes, and linear probes learn."""
        return self.kind in ("classification", "regression")

    @property
    def num_outputs(self) -> int:
        """Size of the model's head: one output for regression, and one for every choice."""
        return 1 if self.kind in ("regression", "choice") else len(self.label_names)

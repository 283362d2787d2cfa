"""Which data a run trains on, before anything is loaded."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.records.reading import Reading

Kind = Literal["classification", "regression", "tokens", "choice", "generation"]
"""What is predicted: a class, a number, a class for every word, one of the row's own choices, or a text."""


class TaskSpec(BaseModel):
    """Where a task's data are and how to read them. Frozen; part of a run's identity.

    ``source`` is a named task (``rte``), a generated one (``playground/negation``), a hub id
    (``org/name`` or ``org/name:config``), or the path of a file or folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    text: str | None = None
    """Column with the (first) text, or with lists of words; guessed when there is one possible reading."""
    text_pair: str | None = None
    """Column with the second text of a pair."""
    label: str | None = None
    """Column with the label: a class, a number, a list of classes, or a text to write."""
    validation: str | None = None
    """Path of a separate validation file, for local sources."""
    test: str | None = None
    """Path of a separate test file, for local sources."""
    kind: Kind | None = None
    """Overrides what the columns suggest."""
    holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training rows held out when there is no validation split."""
    size: int | None = None
    """Training rows to generate; ``playground/*`` only."""
    scored_rows: int | None = Field(default=None, gt=0)
    """At most so many rows of the scored split, drawn once and for all; None scores all."""
    read: Reading | None = None
    """What the user decides about the files' layout; None leaves it to the files."""


class OodSpec(BaseModel):
    """Another task that a tuned model is scored on as it is, out of its domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskSpec
    labels: tuple[tuple[str, str], ...] = ()
    """Pairs of class names, ``(of one task, of the other)``: the first counts as the second. Empty: classes that
    have the same names are the same, and known sets of classes (three-way and two-way entailment) are mapped."""

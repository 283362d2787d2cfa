"""Which data a run trains on, before anything is loaded."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TaskSpec(BaseModel):
    """Where a task's data are and how to read them. Frozen; part of a run's identity.

    ``source`` is a named task (``rte``), a generated one (``playground/negation``), a hub id
    (``org/name`` or ``org/name:config``), or the path of a file or folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    text: str | None = None
    """Column with the (first) text; guessed when there is one possible reading."""
    text_pair: str | None = None
    """Column with the second text of a pair."""
    label: str | None = None
    """Column with the label."""
    validation: str | None = None
    """Path of a separate validation file, for local sources."""
    test: str | None = None
    """Path of a separate test file, for local sources."""
    kind: Literal["classification", "regression"] | None = None
    """Overrides what the label column suggests."""
    holdout: float = Field(default=0.2, gt=0, lt=1)
    """Share of the training rows held out when there is no validation split."""
    size: int | None = None
    """Training rows to generate; ``playground/*`` only."""

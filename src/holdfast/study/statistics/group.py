"""One method's runs on one task, and the scale they are scored on."""

from dataclasses import dataclass

Seed = tuple[int, ...]
"""What tells the runs of a group apart: all the seeds of a run."""


@dataclass(frozen=True)
class Scale:
    """How a task is scored, in points."""

    step: float
    """Smallest change of a score: 100 / scored rows."""
    constant: float
    """Score of the best constant prediction."""
    lowest: float = 0.0
    """Lowest score the metric can give; the highest is 100."""

    @property
    def bound(self) -> float:
        """Largest difference that can occur."""
        return 100.0 - self.lowest


@dataclass(frozen=True)
class Group:
    """Runs that ended, in a fixed order. All tuples have the same length, the number of runs."""

    scores: tuple[float, ...]
    """Points."""
    failed: tuple[bool, ...]
    seeds: tuple[Seed, ...]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def trained_scores(self) -> tuple[float, ...]:
        """Scores of the runs that did not fail."""
        return tuple(score for score, failed in zip(self.scores, self.failed, strict=True) if not failed)

    @property
    def failed_scores(self) -> tuple[float, ...]:
        """Scores of the runs that failed."""
        return tuple(score for score, failed in zip(self.scores, self.failed, strict=True) if failed)

    @property
    def failures(self) -> int:
        """Number of failed runs."""
        return sum(self.failed)

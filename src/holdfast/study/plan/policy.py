"""What decides which runs a study does: a policy, which is asked again whenever the runs it asked for have ended."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.records.run import RunRecord, RunSpec


@dataclass(frozen=True)
class Planned:
    """The runs of a study as far as they are known."""

    runs: Sequence[RunSpec]
    """Done or not, in the order of the tables."""
    complete: bool = True
    """False where results that are still to come may add runs."""


class Policy(ABC):
    """Decides which runs a study does, by the records of those that ended.

    The answer depends on the records alone, not on their order, so that a study that was killed goes on as if it had
    not been.
    """

    @abstractmethod
    def planned(self, records: Mapping[str, RunRecord]) -> Planned:
        """Return all runs that are certain once ``records``, by run id, are there.

        More records never take a run away. A run that goes on from another's model is to be there before that one
        ends, since models that no planned run goes on from are deleted.
        """

    def next(self, records: Mapping[str, RunRecord]) -> list[RunSpec]:
        """Return the runs to do now: the planned ones that have no record and wait for none; empty when done.

        References come first, since they take seconds and tell what is to be beaten.
        """
        missing = [spec for spec in self.planned(records).runs if spec.id not in records]
        return sorted(next(iter(stages(missing)), []), key=lambda spec: spec.reference is None)


def stages(specs: Sequence[RunSpec]) -> list[list[RunSpec]]:
    """Return the runs in parts to be done one after the other, so that none comes before the one it goes on from."""
    depth: dict[str, int] = {}
    parts: dict[int, list[RunSpec]] = {}
    for spec in specs:
        depth[spec.id] = 0 if spec.after is None else depth.get(spec.after, -1) + 1
        parts.setdefault(depth[spec.id], []).append(spec)
    return [parts[number] for number in sorted(parts)]

"""The policy of a study whose runs are all known before the first."""

from collections.abc import Mapping, Sequence

from holdfast.records.run import RunRecord, RunSpec
from holdfast.study.plan.policy import Planned, Policy


class FixedGrid(Policy):
    """Asks for the same runs whatever their results."""

    def __init__(self, runs: Sequence[RunSpec]) -> None:
        self._planned = Planned(runs)

    def planned(self, records: Mapping[str, RunRecord]) -> Planned:
        """Return all runs."""
        return self._planned

"""How far a study is: fed by what runs it, read by what shows it."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.records.run import REFERENCE_NAMES, DatasetKey, RunRecord, RunSpec
from holdfast.study.plan.policy import Planned
from holdfast.wording import roughly, score


@dataclass
class Running:
    """A run under way."""

    spec: RunSpec
    task: str
    since: float
    """Clock reading at its start, in seconds."""
    step: int = 0
    total: int = 0
    """Optimizer steps of the phase; 0 while unknown."""
    phase: str = "starting"
    loss: float | None = None


class StudyProgress:
    """Runs done, under way and waiting, and how long the rest may take."""

    def __init__(
        self,
        planned: Planned,
        names: Mapping[DatasetKey, str],
        records: Iterable[RunRecord],
        slots: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.planned = planned
        self._names = names
        self._slots = max(1, slots)
        self._clock = clock
        self._seconds: dict[tuple[DatasetKey, str], list[float]] = {}
        self._ended: set[str] = set()
        self.running: dict[str, Running] = {}
        self.errors = 0
        """Runs that stopped with an error."""
        for record in records:
            self._count(record, record.seconds)

    @property
    def total(self) -> int:
        """Runs of the study, as far as they are known."""
        return len(self.planned.runs)

    @property
    def done(self) -> int:
        """Runs that ended, those that stopped with an error included."""
        return len(self._ended)

    def start(self, spec: RunSpec) -> Running:
        """Note that a run began."""
        self.running[spec.id] = Running(spec, self._names[spec.dataset_key], self._clock())
        return self.running[spec.id]

    def end(self, record: RunRecord) -> float:
        """Note that a run ended, and return how many seconds it took, its process's start included."""
        seconds = self._clock() - self.running.pop(record.id).since
        self._count(record, seconds)
        return seconds

    def seconds_left(self) -> float | None:
        """Return about how long the other planned runs take, from those that finished; None while nothing is known.

        A run is taken to last as long as the median one of its task and method, else of its task, else of all;
        before the first has finished, as long as its steps so far suggest. References are taken to last no time.
        """
        rest = [self._rest_of(run) for run in self.running.values() if run.spec.reference is None]
        left = [spec for spec in self.planned.runs if spec.id not in self._ended and spec.reference is None]
        waiting = [spec for spec in left if spec.id not in self.running]
        typical = [self._typical(spec) for spec in waiting]
        known = [seconds for seconds in [*rest, *typical] if seconds is not None]
        if not known:
            return None
        # A run of which nothing is known yet, not even its first step, is taken as an average one.
        mean = statistics.fmean(known)
        all_left = [mean if seconds is None else seconds for seconds in [*rest, *typical]]
        return max(max(all_left), sum(all_left) / self._slots)

    def _count(self, record: RunRecord, seconds: float) -> None:
        self._ended.add(record.id)
        if record.status == "error":
            self.errors += 1
        elif not record.spec.untrained:
            self._seconds.setdefault((record.spec.dataset_key, record.spec.method), []).append(seconds)

    def _typical(self, spec: RunSpec) -> float | None:
        same = self._seconds.get((spec.dataset_key, spec.method))
        task = [s for (dataset, _), all_s in self._seconds.items() if dataset == spec.dataset_key for s in all_s]
        everything = [s for all_s in self._seconds.values() for s in all_s]
        for known in (same, task, everything):
            if known:
                return statistics.median(known)
        running = [whole for run in self.running.values() if (whole := self._whole_of(run)) is not None]
        return statistics.fmean(running) if running else None

    def _whole_of(self, run: Running) -> float | None:
        if not run.step or not run.total:
            return None
        return (self._clock() - run.since) * run.total / run.step

    def _rest_of(self, run: Running) -> float | None:
        whole = self._typical(run.spec) if self._seconds else self._whole_of(run)
        return None if whole is None else max(0.0, whole - (self._clock() - run.since))


class StudyCallback(Protocol):
    """Is told what happens in a study; shows it or not."""

    def started(self, progress: StudyProgress, run: Running) -> None:
        """A run began."""

    def moved(self, progress: StudyProgress, run: Running) -> None:
        """A run got further."""

    def ended(self, progress: StudyProgress, record: RunRecord, seconds: float) -> None:
        """A run ended, with a score or an error, after so many seconds."""


def ended_line(progress: StudyProgress, record: RunRecord, seconds: float) -> str:
    """Return the line about a run that ended: which, its score in points, how long, what is left."""
    if record.status == "error":
        result = f"stopped with an error: {record.error}"
    elif record.spec.untrained and record.spec.reference is None:
        result = f"probed  {roughly(seconds)}"
    else:
        diverged = ", diverged" if record.diverged else ""
        result = f"{record.primary} {score(record.metrics.get(record.primary))}{diverged}  {roughly(seconds)}"
    rest = f"  ({left})" if (left := time_left(progress)) else ""
    return f"[{how_far(progress.done, progress.planned)}] {name_of(record.spec, record.task_name)}  {result}{rest}"


def how_far(done: int, planned: Planned) -> str:
    """Return how many runs are done of how many."""
    return f"{done}/{len(planned.runs)}" if planned.complete else f"{done} of at least {len(planned.runs)}"


def time_left(progress: StudyProgress) -> str:
    """Return how long the rest may take in words; empty while nothing is known, and when nothing is left."""
    left = progress.seconds_left()
    if not left:
        return ""
    return f"{'about' if progress.planned.complete else 'at least about'} {roughly(left)} left"


def name_of(spec: RunSpec, task: str) -> str:
    """Return what tells a run from the others of its study."""
    rows = "" if spec.perturb is None else f", data {spec.perturb.seed}"
    size = "" if spec.train_size is None else f" ({spec.train_size} rows)"
    if spec.reference is not None:
        return f"{task}{size}  {REFERENCE_NAMES[spec.reference]}"
    if spec.untrained:
        return "the pre-trained model"
    return f"{task}{size}  {spec.method}  seed {spec.seed}{rows}"

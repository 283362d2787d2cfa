"""What Python calls tell while they work, as log records of the logger ``holdfast``."""

import logging

from holdfast.api.arguments import as_arguments
from holdfast.records.run import RunRecord
from holdfast.study.plan.prepare import Prepared
from holdfast.study.run.progress import Running, StudyProgress, ended_line

LOGGER = logging.getLogger("holdfast")
_LEVELS = {"note": logging.INFO, "warning": logging.WARNING}


def log_remarks(prepared: Prepared) -> None:
    """Log what was decided about the data, and as warnings what looks wrong with them or the methods."""
    for kind, text in prepared.remarks():
        LOGGER.log(_LEVELS[kind], "%s", as_arguments(text))


class Logged:
    """A callback that logs every run that ended: as a warning where it stopped with an error, else for information."""

    def started(self, progress: StudyProgress, run: Running) -> None:
        """Nothing to log."""

    def moved(self, progress: StudyProgress, run: Running) -> None:
        """Nothing to log."""

    def ended(self, progress: StudyProgress, record: RunRecord, seconds: float) -> None:
        """Log the run's line."""
        level = logging.WARNING if record.status == "error" else logging.INFO
        LOGGER.log(level, "%s", ended_line(progress, record, seconds))

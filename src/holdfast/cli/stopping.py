"""Ctrl-C and SIGTERM: both end the command in order, and its exit code tells which it was."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """SIGTERM came."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM act like Ctrl-C meanwhile."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return what shells expect of a process that a signal ended: 128 and the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Stopped) else signal.SIGINT)

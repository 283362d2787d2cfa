"""Where the time of a run goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Adds up wall time by what it went to."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count the block as ``name``."""
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

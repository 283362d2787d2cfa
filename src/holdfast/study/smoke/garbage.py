"""Cheap garbage collection, for many runs of a second in one process."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def spared() -> Iterator[None]:
    """Keep what is there already out of garbage collection meanwhile.

    The Trainer collects twice a run, and going over all of the libraries' objects takes longer than a tiny run.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

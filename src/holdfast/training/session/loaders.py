"""Passes over a data loader that do not change what training gets from it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def same_order(data: Iterable[Mapping[str, Any]]) -> Iterator[None]:
    """Put the generators that order the rows back, which a pass for the methods must not move."""
    order = [(generator, generator.get_state()) for generator in _generators(data)]
    try:
        yield
    finally:
        for generator, state in order:
            generator.set_state(state)


def length(data: Any) -> int | None:
    """Return the number of batches; None where that is not known."""
    try:
        return len(data)
    except TypeError:
        # Also a loader of a dataset that streams, which has the method.
        return None


def _generators(data: Iterable[Mapping[str, Any]]) -> list[torch.Generator]:
    """Return the generators of a data loader."""
    parts = [data, getattr(data, "sampler", None), getattr(data, "batch_sampler", None)]
    found = [getattr(part, "generator", None) for part in parts]
    return [generator for generator in found if isinstance(generator, torch.Generator)]

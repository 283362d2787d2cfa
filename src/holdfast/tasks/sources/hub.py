"""Data sets of the Hugging Face hub into Tables. Never runs code that comes with the data."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from holdfast.errors import HoldfastError
from holdfast.tasks.table import Table, listed

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val", "dev", "validation_matched"),
    "test": ("test", "test_matched"),
}
"""What a split is called here, and on the hub."""

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def load_hub(hub_id: str, name: str, remedy: str, training: bool) -> dict[str, Table]:
    """Load ``org/name`` or ``org/name:config``; splits get the names used here.

    Raises ``HoldfastError`` that begins with ``name`` and ends with ``remedy`` when the hub cannot serve it, and
    where there is no training split and ``training`` needs one.
    """
    import datasets

    path, _, config = hub_id.partition(":")
    try:
        with _quick_when_offline():
            loaded = datasets.load_dataset(path, config or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise HoldfastError(f"{name}: the hub cannot serve {hub_id} ({reason}); {remedy}") from error
    tables = {}
    for ours, theirs in SPLIT_NAMES.items():
        split = next((name for name in theirs if name in loaded), None)
        if split is not None:
            tables[ours] = _table(loaded[split], f"{hub_id} {split}")
    if not tables:
        raise HoldfastError(
            f"{name}: {hub_id} has no train, validation or test split, only {listed(map(str, loaded))}; choose another"
        )
    if training and "train" not in tables:
        raise HoldfastError(
            f"{name}: {hub_id} has no training split, only {listed(map(str, loaded))}; choose another "
            f"(to score tuned models on it, give it to --ood)"
        )
    for split in loaded:
        if str(split).startswith("validation_") and split not in SPLIT_NAMES["validation"]:
            tables[str(split)] = _table(loaded[split], f"{hub_id} {split}")
    return tables


def _table(data: Any, place: str) -> Table:
    import datasets

    # Of a list: what it holds.
    held = {name: getattr(feature, "feature", feature) for name, feature in data.features.items()}
    usable = [
        name
        for name, feature in held.items()
        if isinstance(feature, datasets.ClassLabel)
        or (isinstance(feature, datasets.Value) and feature.dtype != "binary")
    ]
    class_names = {name: tuple(held[name].names) for name in usable if isinstance(held[name], datasets.ClassLabel)}
    columns = data.select_columns(usable).to_dict()
    return Table(place, columns, list(range(1, len(data) + 1)), unit="row", class_names=class_names)


@contextmanager
def _quick_when_offline() -> Iterator[None]:
    """Without a connection, look into the cache at once.

    The hub's client would try six times with growing pauses, half a minute in all, and write a line each.
    """
    import datasets
    import huggingface_hub.constants as hub

    if any(os.environ.get(name) for name in _PROXIES) or _resolves(urlsplit(hub.ENDPOINT).hostname or ""):
        yield
        return
    before = hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        hub.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True

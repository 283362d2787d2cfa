"""Where a model comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSource:
    """A pre-trained or tuned model by its name, and what may be done to load it."""

    name: str
    """Folder, hub id or short name."""
    revision: str | None = None
    """Branch, tag or commit of a model on the hub."""
    remote_code: bool = False
    """Code that comes with the model may run."""
    pickled_weights: bool = False
    """Weights that are pickled may be read, which may run code."""

"""Data in: catalogue, loading, validation, metrics, generated tasks."""

from holdfast.lazy import names_from_stub

__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)

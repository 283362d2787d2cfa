"""Many runs: the grid, the store, executors, statistics."""

from holdfast.lazy import names_from_stub

__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)

"""What changes in training. One method, one file."""

from holdfast.lazy import names_from_stub

__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)

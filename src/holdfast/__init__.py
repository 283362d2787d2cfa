"""Fine-tune pre-trained models so that the result does not depend on luck and the model keeps what it knew.

Importing this package is cheap: torch and Transformers load when a name that needs them is first used.
"""

from holdfast.lazy import names_from_stub

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)

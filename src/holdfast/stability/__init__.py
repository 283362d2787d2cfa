"""How stable tuning is: bounds, what goes into them, and leave-one-out stability measured.

Fu, So & Collier, "A Stability Analysis of Fine-Tuning a Pre-Trained Model" (arXiv 2301.09820, 2023). Importing this
room is cheap: torch loads when a name that needs it is first used.
"""

from holdfast.lazy import names_from_stub

__getattr__, __dir__, __all__ = names_from_stub(__name__, __file__)

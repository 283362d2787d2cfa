"""Fine-tune pre-trained models so that the result does not depend on luck and the model keeps what it knew.

Importing this package is cheap: torch and Transformers load when a name that needs them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.errors import HoldfastError
    from holdfast.methods.base import Forward, Method, Plan, Step, View
    from holdfast.methods.r3f import R3F
    from holdfast.methods.r4f import R4F
    from holdfast.methods.vanilla import Vanilla
    from holdfast.training.engine import Engine
    from holdfast.training.trainer import attach

__version__ = "0.1.0"

_HOMES = {
    "HoldfastError": "holdfast.errors",
    "Forward": "holdfast.methods.base",
    "Method": "holdfast.methods.base",
    "Plan": "holdfast.methods.base",
    "Step": "holdfast.methods.base",
    "View": "holdfast.methods.base",
    "R3F": "holdfast.methods.r3f",
    "R4F": "holdfast.methods.r4f",
    "Vanilla": "holdfast.methods.vanilla",
    "Engine": "holdfast.training.engine",
    "attach": "holdfast.training.trainer",
}

__all__ = [
    "R3F",
    "R4F",
    "Engine",
    "Forward",
    "HoldfastError",
    "Method",
    "Plan",
    "Step",
    "Vanilla",
    "View",
    "__version__",
    "attach",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")

"""What fine-tuning did to the representation: probes of it, measures without labels, and a monitor for training.

Representational collapse is the question of Aghajanyan et al., "Better Fine-Tuning by Reducing Representational
Collapse" (arXiv 2008.03156, 2020). Importing this room is cheap: torch loads when a name that needs it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.collapse.drift import layer_drift
    from holdfast.collapse.geometry import effective_rank, mean_cosine, participation_ratio
    from holdfast.collapse.layers import LayerMeasures, measure_layers
    from holdfast.collapse.looking import Look, Monitor
    from holdfast.collapse.monitor import CollapseMonitor
    from holdfast.collapse.probing import Probed, linear_probe
    from holdfast.stability.representations import linear_cka

_HOMES = {
    "layer_drift": "holdfast.collapse.drift",
    "effective_rank": "holdfast.collapse.geometry",
    "mean_cosine": "holdfast.collapse.geometry",
    "participation_ratio": "holdfast.collapse.geometry",
    "LayerMeasures": "holdfast.collapse.layers",
    "measure_layers": "holdfast.collapse.layers",
    "Look": "holdfast.collapse.looking",
    "Monitor": "holdfast.collapse.looking",
    "CollapseMonitor": "holdfast.collapse.monitor",
    "Probed": "holdfast.collapse.probing",
    "linear_probe": "holdfast.collapse.probing",
    "linear_cka": "holdfast.stability.representations",
}

__all__ = [
    "CollapseMonitor",
    "LayerMeasures",
    "Look",
    "Monitor",
    "Probed",
    "effective_rank",
    "layer_drift",
    "linear_cka",
    "linear_probe",
    "mean_cosine",
    "measure_layers",
    "participation_ratio",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast.collapse' has no attribute {name!r}")

"""Fine-tune pre-trained models so that the result does not depend on luck and the model keeps what it knew.

Importing this package is cheap: torch and Transformers load when a name that needs them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.errors import HoldfastError
    from holdfast.methods.base import Forward, Method, Plan, Selection, SelfSupervised, Step, TrainingData, View
    from holdfast.methods.bitfit import BitFit
    from holdfast.methods.child_tuning_d import ChildTuningD
    from holdfast.methods.child_tuning_f import ChildTuningF
    from holdfast.methods.dps import DPS
    from holdfast.methods.head_tuning import HeadTuning
    from holdfast.methods.l2_sp import L2SP
    from holdfast.methods.lora import LoRA
    from holdfast.methods.mhloss import MHLoss
    from holdfast.methods.mixout import Mixout
    from holdfast.methods.mmr import MMR
    from holdfast.methods.pretrained_decay import PretrainedDecay
    from holdfast.methods.r3f import R3F
    from holdfast.methods.r4f import R4F
    from holdfast.methods.rec_adam import RecAdam
    from holdfast.methods.sift import SIFT
    from holdfast.methods.surt import SURT
    from holdfast.methods.top_k_layers import TopKLayers
    from holdfast.methods.vanilla import Vanilla
    from holdfast.training.engine import Engine
    from holdfast.training.trainer import attach

__version__ = "0.1.0"

_HOMES = {
    "HoldfastError": "holdfast.errors",
    "Forward": "holdfast.methods.base",
    "Method": "holdfast.methods.base",
    "Plan": "holdfast.methods.base",
    "Selection": "holdfast.methods.base",
    "SelfSupervised": "holdfast.methods.base",
    "Step": "holdfast.methods.base",
    "TrainingData": "holdfast.methods.base",
    "View": "holdfast.methods.base",
    "BitFit": "holdfast.methods.bitfit",
    "ChildTuningD": "holdfast.methods.child_tuning_d",
    "ChildTuningF": "holdfast.methods.child_tuning_f",
    "DPS": "holdfast.methods.dps",
    "HeadTuning": "holdfast.methods.head_tuning",
    "LoRA": "holdfast.methods.lora",
    "MHLoss": "holdfast.methods.mhloss",
    "MMR": "holdfast.methods.mmr",
    "Mixout": "holdfast.methods.mixout",
    "R3F": "holdfast.methods.r3f",
    "R4F": "holdfast.methods.r4f",
    "L2SP": "holdfast.methods.l2_sp",
    "PretrainedDecay": "holdfast.methods.pretrained_decay",
    "RecAdam": "holdfast.methods.rec_adam",
    "SIFT": "holdfast.methods.sift",
    "SURT": "holdfast.methods.surt",
    "TopKLayers": "holdfast.methods.top_k_layers",
    "Vanilla": "holdfast.methods.vanilla",
    "Engine": "holdfast.training.engine",
    "attach": "holdfast.training.trainer",
}

__all__ = [
    "DPS",
    "L2SP",
    "MMR",
    "R3F",
    "R4F",
    "SIFT",
    "SURT",
    "BitFit",
    "ChildTuningD",
    "ChildTuningF",
    "Engine",
    "Forward",
    "HeadTuning",
    "HoldfastError",
    "LoRA",
    "MHLoss",
    "Method",
    "Mixout",
    "Plan",
    "PretrainedDecay",
    "RecAdam",
    "Selection",
    "SelfSupervised",
    "Step",
    "TopKLayers",
    "TrainingData",
    "Vanilla",
    "View",
    "__version__",
    "attach",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")

"""Fine-tune pre-trained models so that the result does not depend on luck and the model keeps what it knew.

Importing this package is cheap: torch and Transformers load when a name that needs them is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.collapse.monitor import CollapseMonitor
    from holdfast.errors import HoldfastError
    from holdfast.methods.base import Forward, Method, Plan, Selection, SelfSupervised, Step, TrainingData, View
    from holdfast.methods.bitfit import BitFit
    from holdfast.methods.child_tuning_d import ChildTuningD
    from holdfast.methods.child_tuning_f import ChildTuningF
    from holdfast.methods.dps import DPS
    from holdfast.methods.ema import EMA
    from holdfast.methods.freelb import FreeLB
    from holdfast.methods.head_tuning import HeadTuning
    from holdfast.methods.hype import HyPe
    from holdfast.methods.l2_sp import L2SP
    from holdfast.methods.llrd import LLRD
    from holdfast.methods.lnsr import LNSR
    from holdfast.methods.lora import LoRA
    from holdfast.methods.lp_ft import LPFT
    from holdfast.methods.mhloss import MHLoss
    from holdfast.methods.mixout import Mixout
    from holdfast.methods.mmr import MMR
    from holdfast.methods.neftune import NEFTune
    from holdfast.methods.noisytune import NoisyTune
    from holdfast.methods.pretrained_decay import PretrainedDecay
    from holdfast.methods.r3f import R3F
    from holdfast.methods.r4f import R4F
    from holdfast.methods.r_drop import RDrop
    from holdfast.methods.rec_adam import RecAdam
    from holdfast.methods.reinit import ReInit
    from holdfast.methods.sift import SIFT
    from holdfast.methods.smart import SMART
    from holdfast.methods.surt import SURT
    from holdfast.methods.top_k_layers import TopKLayers
    from holdfast.methods.vanilla import Vanilla
    from holdfast.methods.wise_ft import WiSEFT
    from holdfast.training.engine import Engine
    from holdfast.training.trainer import attach

__version__ = "0.1.0"

_HOMES = {
    "CollapseMonitor": "holdfast.collapse.monitor",
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
    "EMA": "holdfast.methods.ema",
    "LLRD": "holdfast.methods.llrd",
    "WiSEFT": "holdfast.methods.wise_ft",
    "FreeLB": "holdfast.methods.freelb",
    "HeadTuning": "holdfast.methods.head_tuning",
    "LoRA": "holdfast.methods.lora",
    "LPFT": "holdfast.methods.lp_ft",
    "MHLoss": "holdfast.methods.mhloss",
    "MMR": "holdfast.methods.mmr",
    "Mixout": "holdfast.methods.mixout",
    "R3F": "holdfast.methods.r3f",
    "R4F": "holdfast.methods.r4f",
    "L2SP": "holdfast.methods.l2_sp",
    "PretrainedDecay": "holdfast.methods.pretrained_decay",
    "RecAdam": "holdfast.methods.rec_adam",
    "ReInit": "holdfast.methods.reinit",
    "SIFT": "holdfast.methods.sift",
    "SMART": "holdfast.methods.smart",
    "SURT": "holdfast.methods.surt",
    "TopKLayers": "holdfast.methods.top_k_layers",
    "HyPe": "holdfast.methods.hype",
    "LNSR": "holdfast.methods.lnsr",
    "NEFTune": "holdfast.methods.neftune",
    "NoisyTune": "holdfast.methods.noisytune",
    "RDrop": "holdfast.methods.r_drop",
    "Vanilla": "holdfast.methods.vanilla",
    "Engine": "holdfast.training.engine",
    "attach": "holdfast.training.trainer",
}

__all__ = [
    "DPS",
    "EMA",
    "L2SP",
    "LLRD",
    "LNSR",
    "LPFT",
    "MMR",
    "R3F",
    "R4F",
    "SIFT",
    "SMART",
    "SURT",
    "BitFit",
    "ChildTuningD",
    "ChildTuningF",
    "CollapseMonitor",
    "Engine",
    "Forward",
    "FreeLB",
    "HeadTuning",
    "HoldfastError",
    "HyPe",
    "LoRA",
    "MHLoss",
    "Method",
    "Mixout",
    "NEFTune",
    "NoisyTune",
    "Plan",
    "PretrainedDecay",
    "RDrop",
    "ReInit",
    "RecAdam",
    "Selection",
    "SelfSupervised",
    "Step",
    "TopKLayers",
    "TrainingData",
    "Vanilla",
    "View",
    "WiSEFT",
    "__version__",
    "attach",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")

"""One row a method, or a form of it that takes another path: every row goes through the same tests.

Those are the same seed, interruption and resumption, mixed precision, accumulation with checkpointing and
clipping, plain checkpoints, best-model loading, and equality of Trainer and Engine.
"""

import pytest

from holdfast import (
    DPS,
    L2SP,
    LLRD,
    LNSR,
    LPFT,
    MMR,
    R3F,
    R4F,
    SIFT,
    SMART,
    SURT,
    ChildTuningD,
    FreeLB,
    HyPe,
    LoRA,
    MHLoss,
    Mixout,
    PretrainedDecay,
    RecAdam,
    TopKLayers,
    WiSEFT,
)
from holdfast.methods import catalogue

TABLE = {name: method() for name, method in catalogue().items()} | {
    "r3f": R3F(sigma=0.01, weight=2.0),
    "r3f-clean": R3F(sigma=0.0, gradient="clean"),
    "r3f-relative": R3F(sigma=0.1, relative=True, every=2),
    "r4f": R4F(sigma=0.0),
    "r4f-last": R4F(head="last"),
    "smart": SMART(momentum=0.5, late_momentum=0.5),
    "smart-published": SMART(radius=None, gradient="detached", steps=2, proximal=0.0),
    "freelb": FreeLB(init=0.2, radius=0.3),
    "lnsr": LNSR(layer=1, sigma=0.1),
    "hype": HyPe(sigma=0.1, dropout=None),
    "dps": DPS(update_ratio=0.25),
    "dps-mix": DPS("mix", update_ratio=0.25),
    "mixout": Mixout(drop=0.5),
    "top_k_layers": TopKLayers(k=1),
    "lora": LoRA(rank=4),
    "child_tuning_d": ChildTuningD(freeze="hard"),
    "l2_sp": L2SP(alpha=10.0),
    "l2_sp-decoupled": L2SP(alpha=2.0, decoupled=True, biases=True),
    "rec_adam": RecAdam(k=1.0, t0=1, gamma=5.0),
    "pretrained_decay": PretrainedDecay(decay=1.0),
    "sift": SIFT(rate=0.2, modules="linear"),
    "mmr": MMR(weight=1.0),
    "mhloss": MHLoss(heads=4),
    "surt": SURT(epochs=2, learning_rate=1e-2),
    "lp_ft": LPFT(epochs=2),
    "llrd": LLRD(decay=0.5),
    "wise_ft": WiSEFT(alpha=0.5),
}
"""Every method as it is by default, or with values that show an effect in a few steps; and further forms of some."""

every_method = pytest.mark.parametrize("method", TABLE.values(), ids=TABLE)

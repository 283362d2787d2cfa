"""Which methods there are: Holdfast's own, and those other packages bring."""

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from holdfast.errors import HoldfastError
from holdfast.methods.base import Method

_OWN = {
    "vanilla": "holdfast.methods.vanilla:Vanilla",
    "r3f": "holdfast.methods.r3f:R3F",
    "r4f": "holdfast.methods.r4f:R4F",
    "smart": "holdfast.methods.smart.method:SMART",
    "freelb": "holdfast.methods.freelb.method:FreeLB",
    "r_drop": "holdfast.methods.r_drop:RDrop",
    "lnsr": "holdfast.methods.lnsr:LNSR",
    "neftune": "holdfast.methods.neftune:NEFTune",
    "hype": "holdfast.methods.hype:HyPe",
    "noisytune": "holdfast.methods.noisytune:NoisyTune",
    "dps": "holdfast.methods.dps.method:DPS",
    "mixout": "holdfast.methods.mixout:Mixout",
    "bitfit": "holdfast.methods.bitfit:BitFit",
    "lora": "holdfast.methods.lora.method:LoRA",
    "top_k_layers": "holdfast.methods.top_k_layers.method:TopKLayers",
    "child_tuning_d": "holdfast.methods.child_tuning_d.method:ChildTuningD",
    "child_tuning_f": "holdfast.methods.child_tuning_f.method:ChildTuningF",
    "l2_sp": "holdfast.methods.l2_sp:L2SP",
    "rec_adam": "holdfast.methods.rec_adam:RecAdam",
    "pretrained_decay": "holdfast.methods.pretrained_decay:PretrainedDecay",
    "sift": "holdfast.methods.sift.method:SIFT",
    "mmr": "holdfast.methods.mmr:MMR",
    "mhloss": "holdfast.methods.mhloss.method:MHLoss",
    "head_tuning": "holdfast.methods.head_tuning:HeadTuning",
    "surt": "holdfast.methods.surt:SURT",
    "reinit": "holdfast.methods.reinit:ReInit",
    "lp_ft": "holdfast.methods.lp_ft:LPFT",
    "llrd": "holdfast.methods.llrd:LLRD",
    "ema": "holdfast.methods.ema:EMA",
    "wise_ft": "holdfast.methods.wise_ft:WiSEFT",
}

GROUP = "holdfast.methods"
"""Entry-point group: name = "package.module:Class", a subclass of ``Method`` whose ``name`` is the same."""


def catalogue() -> dict[str, type[Method]]:
    """Return the method classes by name, Holdfast's own first.

    Raises ``HoldfastError`` when an installed package registers something that is no method, or takes a name
    that is in use.
    """
    found: dict[str, type[Method]] = {}
    for name, path in _OWN.items():
        module, _, attribute = path.partition(":")
        found[name] = getattr(import_module(module), attribute)
    for entry in _registered():
        method = entry.load()
        if not (isinstance(method, type) and issubclass(method, Method) and method.name == entry.name):
            raise HoldfastError(
                f"entry point {entry.name} = {entry.value} in group {GROUP} is not a Method class "
                f"named {entry.name!r}: fix or uninstall the package that registers it"
            )
        if entry.name in found:
            raise HoldfastError(
                f"entry point {entry.name} = {entry.value} takes a method name in use: "
                "rename it or uninstall its package"
            )
        found[entry.name] = method
    return found


@cache
def _registered() -> tuple[EntryPoint, ...]:
    # Looks through the metadata of every installed package, and methods are asked for by every run.
    return tuple(entry_points(group=GROUP))

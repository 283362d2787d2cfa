"""The smoke form of a recipe: the same path, offline, with a tiny random model and generated text."""

from holdfast.study.smoke.garbage import spared
from holdfast.study.smoke.prepare import DATA, prepare_smoke

__all__ = ["DATA", "prepare_smoke", "spared"]

"""Plain fine-tuning: the baseline every method is compared with."""

from dataclasses import dataclass
from typing import ClassVar

from holdfast.methods.base import Method


@dataclass(frozen=True)
class Vanilla(Method):
    """Train on the task loss alone, as the training settings say."""

    name: ClassVar[str] = "vanilla"
    summary: ClassVar[str] = "plain fine-tuning, the usual baseline"

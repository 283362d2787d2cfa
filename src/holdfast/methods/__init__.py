"""What changes in training. One method, one file."""

from holdfast.methods.base import Forward, Method, Plan, Step, View
from holdfast.methods.parsing import arguments, check_combination, describe, parse, split
from holdfast.methods.registry import catalogue

__all__ = [
    "Forward",
    "Method",
    "Plan",
    "Step",
    "View",
    "arguments",
    "catalogue",
    "check_combination",
    "describe",
    "parse",
    "split",
]

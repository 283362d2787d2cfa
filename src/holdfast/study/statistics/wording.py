"""Numbers as they stand in sentences."""

from collections.abc import Sequence

from holdfast.study.statistics.arm import Arm
from holdfast.study.statistics.intervals import Interval


def number(points: float) -> str:
    """One decimal; more where one would show a value as 0 that is not. Minus is a true minus sign."""
    for decimals in (1, 2, 3):
        text = f"{points:.{decimals}f}"
        if float(text) != 0:
            return text.replace("-", "−")
    return "0.0"


def points(value: float) -> str:
    """A size such as delta: "1 point", "0.5 points"."""
    return f"{value:g} point" if value == 1 else f"{value:g} points"


def span(interval: Interval) -> str:
    """Both ends: "−0.2 to 1.0"."""
    return f"{number(interval.low)} to {number(interval.high)}"


def level(alpha: float) -> str:
    """The confidence level that belongs to alpha: "95 %"."""
    return f"{100 * (1 - alpha):g} %"


def percent(share: float) -> str:
    """A share as a whole percentage: "88 %"."""
    return f"{100 * share:.0f} %"


def chance(p_value: float) -> str:
    """A p value: "p = 0.03", "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def seeds(a: Arm, b: Arm) -> str:
    """How many runs the arms have: "5 seeds each", "5 and 4 seeds"."""
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} seeds"
    return f"{len(a)} seed each" if len(a) == 1 else f"{len(a)} seeds each"


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

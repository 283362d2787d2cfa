"""Numbers and names as a reader sees them."""

import math
import re
from collections.abc import Sequence

ABSENT = "–"
"""Stands where a number does not exist."""

# Control characters could drive a terminal, direction overrides reorder what stands beside them.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_BREAKS = re.compile(r"[^ ,(+/]*[ ,(+/]*")


def clean(text: str) -> str:
    """Return ``text`` on one line, without control characters or direction overrides."""
    return _UNPRINTABLE.sub(" ", text).strip()


def decimals(delta: float) -> int:
    """Return how many decimals points need so that differences of ``delta`` points can be read."""
    return 2 if delta <= 0 else min(6, max(1, math.ceil(-math.log10(delta / 5))))


def points(value: float | None, digits: int = 1) -> str:
    """Return a score in points, such as ``71.2``."""
    return ABSENT if value is None else f"{value:.{digits}f}".replace("-", "−")


def spread(mean: float | None, std: float | None, digits: int = 1) -> str:
    """Return a mean with its standard deviation where there is one, such as ``71.2 ± 0.8``."""
    return points(mean, digits) if mean is None or std is None else f"{points(mean, digits)} ± {points(std, digits)}"


def signed(value: float | None, digits: int = 1) -> str:
    """Return a difference in points with its sign, such as ``+2.1``; the sign survives rounding to zero."""
    if value is None or value == 0:
        return points(value, digits)
    return ("+" if value > 0 else "−") + f"{abs(value):.{digits}f}"


def interval(low: float | None, high: float | None, digits: int = 1) -> str:
    """Return an interval of differences, such as ``[+0.8, +3.3]``, or nothing where there is none."""
    return "" if low is None or high is None else f"[{signed(low, digits)}, {signed(high, digits)}]"


def number(value: float) -> str:
    """Return a difference in points for a sentence: more decimals where one would show as 0 what is not."""
    for decimals in (1, 2, 3):
        text = f"{value:.{decimals}f}"
        if float(text) != 0:
            return text.replace("-", "−")
    return "0.0"


def in_points(size: float) -> str:
    """Return a size such as delta with its unit: ``1 point``, ``0.5 points``."""
    return f"{size:g} point{'' if size == 1 else 's'}"


def score(value: float | None) -> str:
    """Return a metric on its own scale in points, such as ``71.2`` for 0.712."""
    return "undefined" if value is None else f"{100 * value:.1f}"


def percent(share: float | None, digits: int = 0) -> str:
    """Return a share in 0..1 as a percentage, such as ``88 %``."""
    return ABSENT if share is None else f"{100 * share:.{digits}f} %"


def rank_share(rank: float | None, start: float | None) -> str:
    """Return an effective rank and its share of the pre-trained model's, such as ``34.2 (62 %)``."""
    if rank is None:
        return ABSENT
    return f"{rank:.1f} ({percent(rank / start)})" if start else f"{rank:.1f}"


def times(ratio: float | None) -> str:
    """Return a cost ratio, such as ``2.0×``."""
    return ABSENT if ratio is None else f"{ratio:.2g}×" if 0 < ratio < 0.1 else f"{ratio:.1f}×"


def duration(seconds: float | None) -> str:
    """Return a time, such as ``48 s``, ``12.4 min`` or ``3.1 h``."""
    if seconds is None:
        return ABSENT
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def roughly(seconds: float) -> str:
    """Return a time that is an estimate in the unit one would say: ``48 s``, ``12 min``, ``3.1 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def level(alpha: float) -> str:
    """Return the confidence level that belongs to ``alpha``: ``95 %`` for .05, ``97.5 %`` for .025."""
    return f"{100 * (1 - alpha):.4g} %"


def chance(p_value: float) -> str:
    """Return a p value: ``p = 0.03``, ``p < 0.001``."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def count(how_many: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2 rows``."""
    return f"{how_many:,}".replace(",", " ") + f" {noun}" + ("" if how_many == 1 else "s")


def listed(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence: ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def breakable(text: str) -> list[str]:
    """Return the pieces between which a name may break: after spaces, commas, brackets, plus signs, slashes."""
    return [piece for piece in _BREAKS.findall(clean(text)) if piece]


def wrap(text: str, width: int) -> list[str]:
    """Return ``text`` as lines of at most ``width`` characters, broken where a method's name reads best."""
    width = max(width, 1)
    lines = [""]
    for piece in breakable(text):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]

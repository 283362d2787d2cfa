"""Numbers as people write them in tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_PERCENT = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*%")


def is_number(text: str) -> bool:
    """Whether a text is written as a finite or infinite number (``nan`` is none)."""
    try:
        # Python would also read 1_000, which is a name.
        return float(text) == float(text) and "_" not in text
    except ValueError:
        return False


def parse_number(text: str) -> float | None:
    """Return the finite number that ``text`` is written as, else None: ``2.5``, ``2,5``, or ``85%`` as 0.85."""
    if percent := _PERCENT.fullmatch(text):
        return float(percent[1].replace(",", ".")) / 100
    if _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text) if is_number(text) and math.isfinite(float(text)) else None


def spelling(texts: Iterable[str]) -> str:
    """Say in which way, other than the usual one, the numbers ``texts`` are written; empty for the usual one."""
    texts = list(texts)
    spellings = []
    if any("," in text for text in texts):
        spellings.append("a decimal comma")
    if any("%" in text for text in texts):
        spellings.append("a percent sign (85% is read as 0.85)")
    return " and ".join(spellings)


def grouped(texts: Iterable[str]) -> bool:
    """Whether commas may set thousands apart (1,234) rather than fractions: each is followed by three digits."""
    with_comma = [text for text in texts if "," in text]
    return bool(with_comma) and all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in with_comma)

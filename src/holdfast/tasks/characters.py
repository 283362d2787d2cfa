"""Characters that look alike or are not seen: compared in one form, and told."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from holdfast.tasks.table import Table

_UNSEEN = "\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
"""Soft hyphen, zero-width space, marks of writing direction, word joiner, byte order mark.

Not the zero-width joiners, on which the meaning of emoji and of several scripts depends.
"""
_BLANKS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
_BLANK = re.compile(f"[{_BLANKS}]")
_UNUSUAL = re.compile(f"[{_UNSEEN}{_BLANKS}]")
_ODD = re.compile(f"[{_UNSEEN}\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd]")
"""What is no part of a text: unseen characters, control characters, and what stands for a lost one."""

_TRACES = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u2122]"
    "|[\u0420\u0421][\u0402-\u040f\u0452-\u045f\u00a0-\u00bf\u2013-\u2122]"
)
"""What bytes of UTF-8 look like as windows-1252 or windows-1251; texts without such a pair need no closer look."""

_SHOWN = 3


def normal(text: str) -> str:
    """Return ``text`` as it is compared: in Unicode's form NFC, without unseen characters and blanks around it.

    Names of columns and classes that differ in no more are the same. Blanks of every kind become spaces.
    """
    if text.isascii():
        return text.strip()
    if _UNUSUAL.search(text):
        text = _BLANK.sub(" ", _INVISIBLE.sub("", text))
    return (text if unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)).strip()


def odd_characters(table: Table, column: str, texts: Sequence[str]) -> list[str]:
    """Tell which unseen or broken characters, and which signs of a wrong decoding, the texts of ``column`` hold."""
    counts: Counter[str] = Counter()
    rows, broken = [], []
    example = ""
    for row, text in enumerate(texts):
        if text.isascii() and text.isprintable():
            continue
        if odd := set(_ODD.findall(text)):
            counts.update(odd)
            rows.append(row)
        if not text.isascii() and (mended := _mended(text)) is not None:
            broken.append(row)
            example = example or mended
    notes = []
    if rows:
        kinds = ", ".join(f"{_name(character)} in {count}" for character, count in counts.most_common(_SHOWN))
        notes.append(
            f"{table.place}: {len(rows)} of {len(texts)} texts in column {column!r} hold characters that cannot be "
            f"seen ({kinds}; {table.where(rows)})"
        )
    if broken:
        notes.append(
            f"{table.place}: {len(broken)} of {len(texts)} texts in column {column!r} seem to have been decoded "
            f"wrongly before they were saved ({example}; {table.where(broken)}); export them again as UTF-8"
        )
    return notes


def _name(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"{code} {unicodedata.name(character, 'control character').lower()}"


def _mended(text: str) -> str | None:
    """Return an example of what a text was before UTF-8 was read as something else; None where it was not."""
    import ftfy
    from ftfy.badness import is_bad

    if not _TRACES.search(text) or not is_bad(text):
        return None
    mended = ftfy.fix_encoding(text)
    if mended == text:
        return None
    words = [(a, b) for a, b in zip(text.split(), mended.split(), strict=False) if a != b]
    return f"{words[0][0]!r} for {words[0][1]!r}" if words else "blanks"

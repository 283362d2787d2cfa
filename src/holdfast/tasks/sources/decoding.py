"""The bytes of a file as text: UTF-8, else what the file says or leaves no doubt about, else what the user says."""

from __future__ import annotations

import re

from holdfast.errors import HoldfastError

_MARKS = {
    # The four bytes of UTF-32 begin with the two of UTF-16.
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Bytes at a file's start that tell its encoding; those of UTF-8 make no difference."""

_WINDOWS = re.compile(rb"[\x00-\x7f\x82\x84-\x87\x8b\x91-\x97\x99\x9b\xa0\xa6\xa7\xa9\xab-\xae\xb0\xb1\xb5-\xb7\xbb]*")
"""Bytes that mean the same in the Windows encodings of European scripts: quotation marks, dashes, no letters."""

_CANDIDATES = ("windows-1252", "windows-1250", "windows-1251", "mac_roman", "shift_jis", "gb18030")
"""Encodings to show an example in; Latin-1 is windows-1252 without its quotation marks."""

_LOST = "\ufffd"
"""What stands for bytes that are no UTF-8."""

_AROUND = 12
"""Characters shown on either side of the first one in question."""


def decode(place: str, data: bytes, encoding: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the text of a file, and notes of how it was read. ``encoding``: what the user says.

    Raises ``HoldfastError`` for bytes that are not text of that encoding, and where several encodings are possible;
    it then shows what the text would be in each.
    """
    notes: tuple[str, ...] = ()
    text: str | None
    if encoding is not None:
        text = _decoded(data, encoding)
        if text is None:
            raise HoldfastError(f"{place}: the file is not text in {encoding}; give another with --read encoding=")
    elif mark := next((mark for mark in _MARKS if data.startswith(mark)), None):
        text = _decoded(data, _MARKS[mark])
        if text is None:
            raise HoldfastError(f"{place}: it begins as {_MARKS[mark]} text and is not; save the file as UTF-8")
        notes = (f"{place}: read as {_MARKS[mark].upper()}",)
    else:
        text = _decoded(data, "utf-8")
        if text is None and b"\x00" not in data and _WINDOWS.fullmatch(data):
            text = data.decode("windows-1252")
            notes = (f"{place}: read as windows-1252 ({_example(text, _first_odd(text))}); it is not UTF-8",)
        if text is None:
            raise _undecided(place, data)
    text = text.removeprefix("\ufeff")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise HoldfastError(
            f"{place}: line {line} holds a NUL byte, so this is no text file; save it as UTF-8 text "
            f"(UTF-16 without a mark: --read encoding=utf-16-le)"
        )
    if not text.strip():
        raise HoldfastError(f"{place}: the file is empty; give a file with column names and rows")
    return text, notes


def _decoded(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _undecided(place: str, data: bytes) -> HoldfastError:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        start = error.start
    line = data.count(b"\n", 0, start) + 1
    rest = data.decode(errors="replace")
    if len(re.findall(rf"[^\x00-\x7f{_LOST}]", rest)) > rest.count(_LOST):
        return HoldfastError(
            f"{place}: byte {start} (line {line}, {_example(rest, rest.index(_LOST))}) is not UTF-8, and most of the "
            f"rest is; mend such places ({rest.count(_LOST)}), or save the file as UTF-8"
        )
    # Detectors of encodings err on so few letters; a person who sees the words does not.
    shown = []
    for encoding in _CANDIDATES:
        text = _decoded(data, encoding)
        before = _decoded(data[:start], encoding)
        if text is not None and before is not None and not re.search(r"[\x80-\x9f]", text):
            shown.append(f"{encoding} ({_example(text, len(before))})")
    which = f"as {', '.join(shown)}: choose with --read encoding=NAME, or" if shown else "give --read encoding=NAME, or"
    return HoldfastError(
        f"{place}: byte {start} (line {line}) is not UTF-8; the text may be read {which} save the file as UTF-8"
    )


def _first_odd(text: str) -> int:
    return next(i for i, character in enumerate(text) if character > "\x7f")


def _example(text: str, position: int) -> str:
    start = max(position - _AROUND, text.rfind("\n", 0, position) + 1)
    return repr(text[start : position + _AROUND].splitlines()[0].strip())

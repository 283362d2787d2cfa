"""The one exception that means: the user can mend this."""

import difflib
from collections.abc import Iterable


class HoldfastError(Exception):
    """A problem in what the user gave.

    The message is one line that names the thing, the place and the remedy. The command line prints it
    without a traceback and exits with code 2; library callers catch it like any exception.

    Example:
        >>> try:
        ...     holdfast.methods.parse("r4g")
        ... except holdfast.HoldfastError as error:
        ...     print(error)  # doctest: +ELLIPSIS
        unknown method 'r4g'...
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for the known word closest to ``word``, or nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""

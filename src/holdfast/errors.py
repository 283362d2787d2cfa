"""The one exception that means: the user can mend this."""


class HoldfastError(Exception):
    """A problem in what the user gave.

    The message is one line that names the thing, the place and the remedy. The command line prints it
    without a traceback and exits with code 2; library callers catch it like any exception.
    """

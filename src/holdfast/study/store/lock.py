"""One process at a time in a study's folder."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.errors import HoldfastError

LOCK = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock file of ``folder``, or raise ``HoldfastError`` naming the process that does.

    The system lets go of the lock when its holder dies, however it dies: a file left by a dead process locks
    nothing, and a process number that was given out again is no false alarm.
    """
    try:
        # Here, since Windows has no such module and must still get as far as `holdfast --help`.
        import fcntl
    except ImportError:
        raise HoldfastError(
            f"{folder}: this system cannot lock a study's folder; run studies on Linux or macOS, or in WSL on Windows"
        ) from None
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise HoldfastError(
                f"{folder}: {holder} is at work on this study; wait for it, stop it, or choose another --out"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
        file.truncate(0)

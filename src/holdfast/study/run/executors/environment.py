"""What a worker process finds in its environment before it imports anything."""

import os
import platform
import sys
from collections.abc import Mapping

_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Keeps the libraries' own bars and load reports out of what the user reads."""


def use_threads(count: int | None) -> None:
    """Let torch use ``count`` CPU threads in this process; None leaves it."""
    if count is not None:
        import torch

        torch.set_num_threads(count)


_KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
"""Lets glibc keep between steps what the next one asks for again; the threshold for maps is the largest it takes."""


_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""One of which Linux has where there is a GPU that torch can use: NVIDIA's, AMD's, and either in Windows' Linux."""


def cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads_per_worker(workers: int, given: int | None, environment: Mapping[str, str]) -> int:
    """Return the CPU threads of a worker: ``given``, else the cores shared among the workers.

    More threads than cores slow every run down many times over. A smaller ``OMP_NUM_THREADS`` that the
    environment already sets is kept.
    """
    if given is not None:
        return given
    share = max(1, cores() // workers)
    limit = environment.get("OMP_NUM_THREADS", "")
    return min(share, int(limit)) if limit.isdigit() and int(limit) > 0 else share


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs this process may use, in the words of ``CUDA_VISIBLE_DEVICES``."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        names = [name.strip() for name in environment["CUDA_VISIBLE_DEVICES"].split(",")]
        # CUDA ignores whatever follows the first name that is no device.
        end = next((at for at, name in enumerate(names) if name in ("", "-1")), len(names))
        return names[:end]
    if sys.platform == "linux" and not any(map(os.path.exists, _GPU_DEVICES)):
        # Importing torch to count none takes seconds.
        return []
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def worker_environment(environment: Mapping[str, str], threads: int, gpus: list[str], slot: int) -> dict[str, str]:
    """Return the environment of the worker in ``slot``: its threads, its one GPU, memory kept, quiet libraries."""
    memory = _KEEP_MEMORY if platform.libc_ver()[0] == "glibc" else {}
    own = {**memory, **environment, **QUIET, **dict.fromkeys(_THREADS, str(threads))}
    # A crash in native code then leaves the Python stack in the log.
    own["PYTHONFAULTHANDLER"] = "1"
    if gpus:
        own["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    return own

"""Scripts in several processes, joined by gloo."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

# A process that leaves its group open may be aborted by the threads of gloo as it exits.
LEAVE = """
import torch
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def rendezvous():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ["--master-addr", "127.0.0.1", "--master-port", str(free.getsockname()[1])]


def distributed(template, folder, processes, **values):
    """Run a script in one or two processes; return what each wrote to its rank's file in ``folder``."""
    folder.mkdir()
    script = folder / "script.py"
    script.write_text(template.format(tests=str(Path(__file__).parent), folder=str(folder), **values) + LEAVE)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script)]
    if processes > 1:
        command[1:1] = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), *rendezvous()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]

"""Every method in two processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.page import hold_against
from support.situations import PROCESSES
from support.trying import YES

pytestmark = pytest.mark.slow

TESTS = Path(__file__).parents[1]


def test_every_method_works_or_is_refused(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-addr", "127.0.0.1"]
    command = [sys.executable, *launch, "--master-port", str(port), "-m", "support.processes", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert not first["failed"] + second["failed"], "\n".join(first["failed"] + second["failed"])
    assert first["cells"] == second["cells"]
    trained = [name for name, cell in first["cells"].items() if cell == YES]
    assert sorted(first["sums"]) == sorted(trained)
    assert first["sums"] == second["sums"], "the processes drifted apart"
    hold_against(PROCESSES.title, first["cells"])

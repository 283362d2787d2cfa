"""The monitor stops what has collapsed, and nothing else."""

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from collapse.watching import At, build, norm_of, one_direction, steps, watched


def constant(model):
    norm_of(model).weight.zero_()


def broken(model):
    norm_of(model).weight[0] = float("nan")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "line"),
    [(one_direction, "has an effective rank of 1."), (constant, "same for every row"), (broken, "is not finite")],
)
def test_a_collapsed_model_is_not_trained_on(act, line, tmp_path, caplog):
    trainer = build(tmp_path, max_steps=9, learning_rate=1e-5)
    trainer.add_callback(At(4, act))
    monitor = watched(trainer, stop=0.5)
    with caplog.at_level(logging.WARNING, "holdfast"):
        trainer.train()
    assert trainer.state.global_step == 4
    assert steps(monitor) == [0, 2, 4]
    (found,) = caplog.messages
    assert line in found
    assert "stops at step 4" in found
    logged = [value for entry in trainer.state.log_history for key, value in entry.items() if "collapse" in key]
    assert np.isfinite(logged).all()


@pytest.mark.slow
def test_without_stop_it_only_looks(tmp_path):
    trainer = build(tmp_path, max_steps=6)
    trainer.add_callback(At(4, constant))
    monitor = watched(trainer)
    trainer.train()
    assert steps(monitor) == [0, 2, 4, 6]
    assert monitor.looks[2].effective_rank is None
    assert monitor.looks[2].distance > 0


DDP = """
import json, sys
import torch
sys.path[:0] = {paths!r}
from collapse.watching import At, build, one_direction, watched
torch.set_num_threads(1)
trainer = build({folder!r}, max_steps=9, learning_rate=1e-5, ddp_find_unused_parameters=False)
rank = trainer.args.process_index
monitor = watched(trainer, stop=0.5)
if rank == 1:
    # Of another mind than the first process, which has to be followed.
    nothing = dict.fromkeys(["cka", "effective_rank", "participation_ratio", "mean_cosine", "distance"])
    monitor.monitor.look = lambda step, look=monitor.monitor.look: look(step).model_copy(update=nothing)
trainer.add_callback(At(3, one_direction))
trainer.train()
found = [trainer.args.world_size, trainer.state.global_step, [look.effective_rank for look in monitor.looks]]
json.dump(found, open({folder!r} + f"/rank{{rank}}.json", "w"))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_the_first_process_decides_for_all(tmp_path):
    """The second one, for which every look is of a collapsed model, trains on until the first one stops."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    script = tmp_path / "script.py"
    script.write_text(DDP.format(paths=[str(Path(__file__).parents[1])], folder=str(tmp_path)))
    shared = os.environ | {"OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=shared | {"RANK": rank, "LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in ("0", "1")
    ]
    for process in processes:
        said, _ = process.communicate(timeout=240)
        assert process.returncode == 0, said[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first[:2] == second[:2] == [2, 4]
    assert first[2][-1] < 0.5 * first[2][0]

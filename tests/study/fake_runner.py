"""A run without a model: its score is a function of its spec, and a file can make it misbehave.

The environment's ``FAKE_RUNS`` names a folder. ``script.json`` in it maps "<method>:<seed>" to a behaviour,
and every run that begins adds a line to ``begun``.
"""

import faulthandler
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord

ROWS = 200


def score(spec):
    digest = hashlib.sha256(f"{spec.task.source.split('/')[-1]} {spec.method} {spec.seed}".encode()).digest()
    return (100 + digest[0] % 80) / ROWS


def run(spec, task, folder, on_progress, eval_tasks):
    place = Path(os.environ["FAKE_RUNS"])
    with (place / "begun").open("a") as file:
        file.write(f"{task.name} {spec.method} {spec.seed}\n")
    script = place / "script.json"
    behaviour = json.loads(script.read_text()).get(f"{spec.method}:{spec.seed}") if script.exists() else None
    if behaviour == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for step in range(1, 4):
        on_progress(SimpleNamespace(step=step, total=3, phase="training", loss=1 / step))
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(json.dumps({"of": [task.name, spec.method, spec.seed]}))
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    if behaviour == "print":
        print(spec.method, spec.seed)
        os.write(2, f"{spec.method} {spec.seed}\n".encode())
    misbehave(behaviour)
    return RunRecord(
        id=spec.id,
        spec=spec,
        status="finished",
        task_name=task.name,
        scored_split=task.scored_split,
        metrics={task.metrics[0]: score(spec)},
        primary=task.metrics[0],
        selection_score=score(spec),
        constant_scores={task.metrics[0]: 0.5},
        dominant_share=0.6,
        steps=3,
        train_rows=len(task.splits["train"]),
        scored_rows=ROWS,
        seconds=0.1,
        train_seconds=0.1,
        threads=int(os.environ.get("OMP_NUM_THREADS", "0")),
        versions={"gpu": os.environ.get("CUDA_VISIBLE_DEVICES", "")},
    )


def misbehave(behaviour):
    if behaviour == "segfault":
        print("about to crash", flush=True)
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)
    elif behaviour == "memory":
        os.kill(os.getpid(), signal.SIGKILL)
    elif behaviour == "exit":
        print("no more patience", flush=True)
        sys.exit(3)
    elif behaviour == "raise":
        raise ValueError("the loss is a tensor of\ntwo lines")
    elif behaviour == "mistake":
        raise HoldfastError("precision fp16 needs a GPU: use bf16 or fp32")
    elif behaviour == "interrupt":
        raise KeyboardInterrupt
    elif behaviour == "hang":
        signal.pause()
    elif behaviour == "stubborn":
        while True:
            signal.pause()

"""What methods cost beside plain fine-tuning, as ratios: step time, arithmetic, peak memory, and state.

    python benchmarks/cost.py --methods dps,"dps(variant=mix)",mixout --model minilm --json cost.json
    python benchmarks/cost.py --methods all --peers all --model minilm --json cost.json

docs/cost.md says how it measures and how to read the table.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# Before PyTorch: its profiler would write two lines for every method.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")

import torch
from rich.console import Console

from holdfast.errors import HoldfastError
from holdfast.methods import parse, split
from holdfast.records.model_source import ModelSource
from holdfast.training.models.loading import load_tokenizer
from measuring.contestants import Contestant, methods_of
from measuring.floors import Frame, blocks_of, floor
from measuring.lineup import ALL, lineup
from measuring.memory import available_bytes
from measuring.resources import Resources, resident_bytes, resources
from measuring.results import as_json, cost, show
from measuring.rounds import compare, groups
from measuring.setup import RANDOM, Setup, base_model, batches
from peers import PEERS
from peers.peer import Peer

AGAIN = "vanilla (again)"
"""Plain fine-tuning against itself: how far from 1 a ratio is that means nothing."""
_SHARE = 0.6
"""Of the free memory that may be taken; allocators need room beside it."""
_WIDTH = 110
"""Columns of a table that is written to a file."""
_DEFAULTS = {"rounds": (30, 9), "steps": (2, 1), "short_steps": (20, 5)}
"""For a few methods, and for all: so many that the table must not take hours."""
_LEAST_ROUNDS = 6
"""Below, no 95 % interval exists."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and save; return the exit code."""
    given = _options().parse_args(arguments)
    try:
        _run(given)
    except HoldfastError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _run(given: argparse.Namespace) -> None:
    whole = given.methods.strip() == ALL
    for option, defaults in _DEFAULTS.items():
        if getattr(given, option) is None:
            setattr(given, option, defaults[whole])
    texts = [] if whole else [method for text in split(given.methods) for method in parse(text)]
    _check(given)
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    device = torch.device(given.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    base = base_model(given.model, given.layers, given.width)
    reads = given.model not in RANDOM and (whole or any(method.requires.text for method in texts))
    setup = Setup(
        base=base,
        batches=batches(base, given.batch, given.tokens, device),
        device=device,
        precision=given.precision,
        accumulation=given.accumulation,
        total_steps=given.total_steps,
        epochs=given.epochs,
        tokenizer=load_tokenizer(ModelSource(given.model)) if reads else None,
    )
    asked = lineup(given.methods, given.peers, setup)
    contestants: dict[str, Contestant] = {AGAIN: "vanilla", **asked.contestants}
    found = {}
    for name, contestant in contestants.items():
        _tell(f"{name}: memory, arithmetic and state over {given.short_steps} steps")
        found[name] = resources(contestant, setup, given.short_steps)
    together = _groups(found, setup)
    times = compare(contestants, setup, given.rounds, given.steps, together, _tell)
    frame = Frame(blocks_of(base), given.epochs)
    costs = [
        cost(name, times[name], found[name], found[AGAIN], _floor(contestants[name], frame)) for name in contestants
    ]
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    show(costs, times, found, _about(given, setup, together), asked.notes, console)
    if given.json is not None:
        _save(given.json, json.dumps(as_json([one for one in costs if one.method != AGAIN]), indent=2) + "\n")


def _floor(contestant: Contestant, frame: Frame) -> float | None:
    return contestant.floor if isinstance(contestant, Peer) else floor(methods_of(contestant), frame)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--methods",
        required=True,
        help='separated by commas, as in holdfast compare: dps,"dps(variant=mix)"; all: every method, and cheap forms',
    )
    add("--peers", help=f"implementations by others to run beside them: all, or of {', '.join(PEERS)}")
    add("--model", default="minilm", help=f"minilm, a folder, a hub id, or with random weights {', '.join(RANDOM)}")
    add("--layers", type=_positive, help="layers of a model with random weights")
    add("--width", type=_positive, help="its hidden size, a multiple of 64")
    add("--batch", type=_positive, default=16, help="rows of a micro-batch (%(default)s)")
    add("--tokens", type=_positive, default=128, help="tokens of a row, none of them padding (%(default)s)")
    add("--accumulation", type=_positive, default=1, help="micro-batches of an optimizer step (%(default)s)")
    add("--precision", choices=["fp32", "bf16", "fp16"], default="fp32", help="of the forward pass (%(default)s)")
    add("--total-steps", type=_positive, default=690, help="optimizer steps of the training priced (%(default)s)")
    add("--epochs", type=float, default=3.0, help="passes over the data in these steps (%(default)g)")
    add("--rounds", type=_positive, help=_by_default("rounds", "turns that every method takes"))
    add("--steps", type=_positive, help=_by_default("steps", "optimizer steps of a turn"))
    add("--short-steps", type=_positive, help=_by_default("short_steps", "steps for memory, arithmetic and state"))
    add("--threads", type=_positive, help="CPU threads; default: what PyTorch takes, as in a training")
    add("--device", help="cpu or cuda; default: cuda where there is one")
    add("--json", type=Path, help="file to write the results to")
    return parser


def _by_default(option: str, what: str) -> str:
    few, many = _DEFAULTS[option]
    return f"{what} ({few}; {many} with --methods all)"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _check(given: argparse.Namespace) -> None:
    if given.rounds < _LEAST_ROUNDS:
        raise HoldfastError(f"--rounds {given.rounds}: a 95 % interval takes at least {_LEAST_ROUNDS}")
    if given.rounds * given.steps >= given.total_steps:
        raise HoldfastError(
            f"--rounds {given.rounds} x --steps {given.steps} do not fit into a training of {given.total_steps} steps: "
            "take fewer, or more --total-steps"
        )
    if given.short_steps < 2:
        raise HoldfastError("--short-steps 1: the first step does more than the others, take at least 2")
    if not given.epochs > 0:
        raise HoldfastError(f"--epochs {given.epochs:g}: it must be above 0")
    if given.precision == "fp16" and (given.device == "cpu" or not torch.cuda.is_available()):
        raise HoldfastError("--precision fp16 needs a GPU: use bf16 or fp32")
    if given.device is not None and given.device.split(":")[0] == "cuda" and not torch.cuda.is_available():
        raise HoldfastError(f"--device {given.device}: there is no GPU here, use cpu")
    if given.json is not None and not given.json.parent.is_dir():
        raise HoldfastError(f"--json {given.json}: there is no folder {given.json.parent}, make it first")


def _groups(found: Mapping[str, Resources], setup: Setup) -> list[list[str]]:
    """Return who takes turns with whom: as many as fit into memory, with plain fine-tuning and one of them at work."""
    free = available_bytes(setup.device)
    resident = {name: resident_bytes(one, setup) for name, one in found.items()}
    if free is None:
        return groups(resident, math.inf)
    return groups(resident, _SHARE * free - resident[AGAIN] - max(one.peak_bytes for one in found.values()))


def _about(given: argparse.Namespace, setup: Setup, together: Sequence[Sequence[str]]) -> str:
    name = torch.cuda.get_device_name(setup.device) if setup.device.type == "cuda" else _processor()
    parameters = sum(parameter.numel() for parameter in setup.base.parameters())
    accumulated = f" x {given.accumulation} micro-batches" if given.accumulation > 1 else ""
    turns = f"in turns, in {len(together)} groups, each with vanilla"
    if len(together) == 1:
        turns = "all methods in turns"
    elif all(len(group) == 1 for group in together):
        turns = "each method in turns with vanilla alone"
    return (
        f"{given.model} ({parameters:,} parameters), {given.batch} rows of {given.tokens} tokens{accumulated}, "
        f"{given.precision}, on {name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}. "
        f"A training of {given.total_steps} steps, {given.epochs:g} epochs; {given.rounds} rounds of {given.steps} "
        f"steps, {turns}."
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _save(path: Path, text: str) -> None:
    # Whole or not at all: a measurement takes long.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

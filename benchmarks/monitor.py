"""What share of a training's time the collapse monitor takes.

    python benchmarks/monitor.py --tokens 24,128 --every 100,50,20 --json monitor.json

Trainings by a Trainer with and without the monitor take turns, on rows of random tokens without padding, which the
monitor looks at too. The share comes from inside the trainings with it: time in the monitor over time in all. That of a
run of other length or interval follows from the time of a look and of a step. Seconds are of processor time in one
thread, so that other work on the machine does not count.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import PrinterCallback, Trainer, TrainingArguments

from holdfast import CollapseMonitor
from measuring.setup import Setup, base_model, batches

_WIDTH = 110
"""Columns of a table that is written to a file."""
_RUN = 500
"""Steps of the run whose shares are worked out: 2,700 rows three times, in steps of 16."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and save; return the exit code."""
    given = _options().parse_args(arguments)
    torch.set_num_threads(1)
    found = [measure(given, tokens) for tokens in given.tokens]
    _show(found, given)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(given: argparse.Namespace, tokens: int) -> dict[str, Any]:
    """Return seconds of a step and of a look, and the monitor's shares, in percent of the time of the whole run."""
    device = torch.device("cpu")
    base = base_model(given.model, given.layers, given.width)
    needed = -(-max(given.rows, 4 * given.batch) // given.batch)
    made = batches(base, given.batch, tokens, device)
    rows = [
        {key: value[at] for key, value in made[index % len(made)].items()}
        for index in range(needed)
        for at in range(given.batch)
    ]
    setup = Setup(base, made, device, "fp32", 1, given.steps, 1.0)
    plain: list[_Training] = []
    watched: list[_Training] = []
    _training(given, setup, rows, 2, every=None)  # what is allocated and imported at first use is paid here
    for turn in range(given.rounds):
        # By turns first, so that a machine that grows busier does not speak against one of them.
        for every in (None, given.measured_every)[:: -1 if turn % 2 else 1]:
            one = _training(given, setup, rows, given.steps, every)
            (plain if every is None else watched).append(one)
    looks = [seconds for one in watched for seconds in one.looks]
    step = statistics.median(one.seconds / given.steps for one in plain)
    start = statistics.median(one.start for one in watched)
    look = statistics.median(looks)
    inside = sum(one.start + sum(one.looks) for one in watched)
    return {
        "tokens": tokens,
        "batch": given.batch,
        "rows": given.rows,
        "step_seconds": step,
        "look_seconds": look,
        "start_seconds": start,
        "steps": given.steps,
        "looks": len(looks) // given.rounds,
        "measured_percent": 100 * inside / sum(one.seconds for one in watched),
        "with_over_without": [b.seconds / a.seconds for a, b in zip(plain, watched, strict=True)],
        "percent_of_a_run": {every: _share(step, look, start, every) for every in given.every},
    }


class _Training:
    """What one training took, in seconds of processor time."""

    def __init__(self) -> None:
        self.start = 0.0
        """Making the monitor."""
        self.looks: list[float] = []
        self.seconds = 0.0


def _training(
    given: argparse.Namespace, setup: Setup, rows: list[dict[str, Any]], steps: int, every: int | None
) -> _Training:
    took = _Training()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            per_device_train_batch_size=given.batch,
            max_steps=steps,
            learning_rate=2e-5,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = Trainer(setup.model(), arguments, train_dataset=rows, eval_dataset=rows)
        trainer.remove_callback(PrinterCallback)
        began = time.process_time()
        if every is not None:
            monitor = CollapseMonitor(trainer, every=every, rows=given.rows)
            took.start = time.process_time() - began
            monitor.monitor.look = _timed(monitor.monitor.look, took.looks)  # type: ignore[method-assign]
            trainer.add_callback(monitor)
        trainer.train()
        took.seconds = time.process_time() - began
    # Before the first step nothing has moved, and nothing is run.
    del took.looks[:1]
    return took


def _timed(act: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        began = time.process_time()
        try:
            return act(*arguments)
        finally:
            seconds.append(time.process_time() - began)

    return timed


def _share(step: float, look: float, start: float, every: int) -> float:
    """Percent of the time of a run of ``_RUN`` steps."""
    looking = start + look * (_RUN // every + (_RUN % every > 0))
    return 100 * looking / (looking + _RUN * step)


def _show(found: list[dict[str, Any]], given: argparse.Namespace) -> None:
    shares = [f"every {every}" for every in given.every]
    table = Table(title=f"{given.rows} rows, steps of {given.batch}, {given.model}; on the right of {_RUN} steps")
    for name in ("tokens", "step, ms", "look, ms", "measured", "with / without", *shares):
        table.add_column(name, justify="right")
    for one in found:
        ratios = one["with_over_without"]
        table.add_row(
            str(one["tokens"]),
            f"{1000 * one['step_seconds']:.0f}",
            f"{1000 * one['look_seconds']:.0f}",
            f"{one['measured_percent']:.1f} %",
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            *(f"{share:.1f} %" for share in one["percent_of_a_run"].values()),
        )
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
    for one in found:
        console.print(
            f"{one['tokens']} tokens: the monitor took {one['measured_percent']:.1f} % of the run's time "
            f"({one['steps']} steps, its making and {one['looks']} looks)"
        )


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="minilm", help="minilm, a folder, a hub id, bert-base-random or bert-large-random")
    add("--layers", type=int, help="layers of a model with random weights")
    add("--width", type=int, help="its hidden size, a multiple of 64")
    add("--batch", type=int, default=16, help="rows of a step (%(default)s)")
    add("--tokens", type=_numbers, default=[24, 128], help="of a row, none of them padding (24,128)")
    add("--rows", type=int, default=64, help="that the monitor looks at (%(default)s)")
    add("--every", type=_numbers, default=[100, 50, 20], help="steps between looks, to work out shares for")
    add("--steps", type=int, default=200, help="of a training that is timed (%(default)s)")
    add("--measured-every", type=int, default=100, help="steps between its looks (%(default)s)")
    add("--rounds", type=int, default=3, help="trainings with and without (%(default)s)")
    add("--json", type=Path)
    return parser


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


if __name__ == "__main__":
    raise SystemExit(main())

"""What a study costs beside the training that it is made of, and beside a plain script, in one run.

    python benchmarks/study.py --runs 10 --rounds 3 --json study.json

Three contestants take turns, each in processes of its own, on the same rows, steps and evaluations:

steps   the optimizer steps of all runs alone, as the study does them, the model loaded once
script  what people write: ``for seed in ...: Trainer(...).train(); evaluate()`` in one process
study   ``holdfast compare`` without its references, which are no part of the others

``--study COMMAND`` times another command in the place of the last, such as that of an earlier version. Below the table
stands where the study's seconds went, by what its runs say of themselves.
"""

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from holdfast.study.run.executors.environment import threads_per_worker, worker_environment
from holdfast.tasks import TaskSpec, load_task
from holdfast.training.models.loading import resolve

HERE = Path(__file__).parent
CONTESTANTS = ("steps", "script", "study")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what was found."""
    given = _options().parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.csv")
        _write_rows(given.task, given.rows, rows)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
        phases: dict[str, float] = {}
        steps = []
        for turn in range(given.rounds):
            out = Path(folder, f"out{turn}")
            for name in CONTESTANTS:
                told = Path(folder, f"{name}{turn}.json")
                times[name].append(_timed(_command(name, given, rows, out, told), told if name != "study" else None))
                if name == "steps":
                    steps.append(json.loads(told.read_text())["seconds"])
            phases = _phases(out)
            _tell(f"round {turn + 1} of {given.rounds} done")
    result = {
        "runs": given.runs,
        "steps_alone": steps,
        **{f"{name}_wall": [wall for wall, _ in taken] for name, taken in times.items()},
        **{f"{name}_cpu": [cpu for _, cpu in taken] for name, taken in times.items()},
        "to_steps": [wall / alone for (wall, _), alone in zip(times["study"], steps, strict=True)],
        "to_script": [a / b for (a, _), (b, _) in zip(times["study"], times["script"], strict=True)],
        "phases": phases,
    }
    _show(result)
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


def _write_rows(task: str, count: int, path: Path) -> None:
    """Write ``count`` rows as a file, and beside it the splits that a study makes of them."""
    split = load_task(TaskSpec(source=task, size=count)).splits["train"]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(zip(split.texts, split.labels or (), strict=True))
    splits = load_task(TaskSpec(source=str(path), text="text", label="label")).splits
    pairs = {name: list(zip(part.texts, part.labels or (), strict=True)) for name, part in splits.items()}
    path.with_suffix(".json").write_text(json.dumps(pairs))


def _command(name: str, given: argparse.Namespace, rows: Path, out: Path, told: Path) -> list[str]:
    if name == "study":
        options = [str(rows), "--methods", "vanilla", "--seeds", str(given.runs), "--model", given.model]
        options += ["--text", "text", "--label", "label", "--out", str(out)]
        return [*given.study.split(), *options]
    script = HERE / "study_contestants" / f"{name}.py"
    return [
        sys.executable,
        str(script),
        str(rows.with_suffix(".json")),
        resolve(given.model),
        str(given.runs),
        str(told),
    ]


def _timed(command: Sequence[str], told: Path | None) -> tuple[float, float]:
    """Return wall and CPU seconds of a command and all that it started."""
    # The steps have the memory and the threads that a run of a study has.
    own = worker_environment(os.environ, threads_per_worker(1, None, os.environ), [], 0)
    environment = own if "steps.py" in " ".join(command) else dict(os.environ)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode or (told is not None and not told.exists()):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _phases(out: Path) -> dict[str, float]:
    """Return the seconds that the runs of a study say they took, by what they went to."""
    totals: dict[str, float] = {}
    for path in out.glob("runs/*/record.json"):
        record: dict[str, Any] = json.loads(path.read_text())
        parts = record.get("phases", {})
        steps = record["train_seconds"]
        parts = {**parts, "training": steps, "in training: evaluating, saving": parts.get("training", steps) - steps}
        for name, seconds in {**parts, "runs in all": record["seconds"]}.items():
            totals[name] = totals.get(name, 0.0) + seconds
    return totals


def _show(result: dict[str, Any]) -> None:
    print(f"{result['runs']} runs; medians of {len(result['steps_alone'])} rounds, in seconds")
    print(f"steps alone        {median(result['steps_alone']):8.1f}")
    for name in CONTESTANTS[1:]:
        print(f"{name:<18} {median(result[f'{name}_wall']):8.1f} wall {median(result[f'{name}_cpu']):8.1f} CPU")
    for name, ratios in (("study / steps", result["to_steps"]), ("study / script", result["to_script"])):
        print(f"{name:<18} {median(ratios):8.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")
    print("where the last study's seconds went:")
    phases = dict(result["phases"])
    inside = phases.pop("runs in all", 0.0)
    for name, seconds in phases.items():
        print(f"  {name:<32} {seconds:7.1f}")
    print(f"  {'elsewhere in runs':<32} {inside - sum(phases.values()):7.1f}")
    print(f"  {'outside of runs':<32} {result['study_wall'][-1] - inside:7.1f}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--runs", type=int, default=10, help="runs of the study")
    add("--rows", type=int, default=300, help="rows of the file")
    add("--rounds", type=int, default=3, help="turns of each contestant")
    add("--task", default="playground/agreement", help="generated task that the rows come from")
    add("--model", default="minilm", help="model, as holdfast compare takes it")
    add(
        "--study",
        default=f"{Path(sys.executable).with_name('holdfast')} compare --no-references",
        help="command of the study",
    )
    add("--json", type=Path, help="file for the results")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

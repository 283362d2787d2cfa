"""Small studies on generated files, run by ``fake_runner``."""

import json
import os
import random
import sys
from pathlib import Path

from holdfast.records.summary import Summary
from holdfast.study.analysis.conclude import Outputs
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from holdfast.study.run import run_one
from holdfast.study.run.study_runner import run_study

TESTS = Path(__file__).parent.parent
RUNNER = "study.fake_runner:run"


def write_csv(path, rows=40, seed=0):
    """Texts of two classes, all different."""
    draw = random.Random(seed)
    lines = ["text,label"]
    lines += [
        f"{word} number {row} of {draw.random():.6f},{word}" for row in range(rows // 2) for word in ("bad", "good")
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def use_fakes(monkeypatch, folder):
    """Let studies, here and in worker processes, be run by ``fake_runner``, with its script and log in ``folder``."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(run_one, "RUNNER", RUNNER)
    # First: their modules keep the loaders that they find when they are imported.
    monkeypatch.setattr("holdfast.training.run.preview.count_truncated", lambda run, task, splits: {})
    monkeypatch.setattr("holdfast.training.run.preview.load_notes", lambda run, task: [])
    monkeypatch.setattr("holdfast.training.run.preview.decoded_rows", lambda run, task, rows: [])
    monkeypatch.setattr("holdfast.training.run.preview.reading_notes", lambda run, task, splits: ([], []))
    # They have tests of their own, tests/study/run/test_references.py.
    monkeypatch.setattr("holdfast.study.plan.prepare.reference_runs", lambda study, tasks, train_rows: [])
    monkeypatch.setattr("holdfast.training.run.check.check_run", lambda spec, task: None)
    monkeypatch.setattr("holdfast.training.models.loading.check_model", lambda source: None)
    monkeypatch.setattr("holdfast.training.models.loading.load_tokenizer", lambda source: None)
    monkeypatch.setenv("FAKE_RUNS", str(folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), *sys.path]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def script(folder, **behaviours):
    """Say which runs misbehave: ``script(folder, **{"r3f:0": "segfault"})``; without arguments none does."""
    (folder / "script.json").write_text(json.dumps(behaviours))


def begun(folder):
    """The runs that began since the start, one ``task method seed`` each, in the order in which they did."""
    return (folder / "begun").read_text().splitlines()


def prepared(data, **options):
    """A small study of ``data``, one path or several, ready to run."""
    sources = [data] if isinstance(data, Path) else data
    tasks = [{"source": str(source), "text": "text", "label": "label"} for source in sources]
    defaults = {"methods": ["vanilla", "r3f"], "seeds": 2}
    return prepare(from_options({"tasks": tasks, **defaults, **options}))


class Heard:
    """A callback that remembers."""

    def __init__(self):
        self.moves, self.ends = [], []

    def started(self, progress, run):
        self.moves.append((run.spec.method, run.spec.seed, "started"))

    def moved(self, progress, run):
        self.moves.append((run.spec.method, run.spec.seed, run.step, run.total, run.loss))

    def ended(self, progress, record, seconds):
        self.ends.append((record.spec.method, record.spec.seed, record.status, progress.done, progress.total))


def write_page(summary, records, path):
    what = f"{len(records)} runs" if isinstance(summary, Summary) else summary.protocol
    path.write_text(f"page of {what}")


PLAIN = Outputs(
    card=lambda best, record, summary: f"card of {record.spec.method} {record.spec.seed}",
    page=write_page,
)


def run(plan, out, callback=None, **options):
    """Run a prepared study with outputs of one line each."""
    return run_study(plan, out, callback or Heard(), PLAIN, **options)


def timeless(summary):
    """A summary's content without times, which differ between equal studies."""
    content = summary.model_dump()
    for row in content["results"]:
        row["seconds"] = row["cost_ratio"] = None
    return content

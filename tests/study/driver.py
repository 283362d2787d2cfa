"""A study of fake runs in a process of its own: ``python -m study.driver study <data> <out> <seeds>``, or a command.

The heavy libraries, which fake runs do not need, are kept out: methods are taken as they are written.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import holdfast.study.plan.prepare as preparation
import holdfast.training.models.loading as models
from holdfast.study.run import run_one
from study import studies


def as_written(study):
    methods = [method for text in study.methods for method in text.split(",")]
    return study.model_copy(update={"methods": methods, "baseline": "vanilla"})


class Told(studies.Heard):
    """Writes every step down."""

    def moved(self, progress, run):
        print(run.spec.method, run.spec.seed, run.step, flush=True)


def main(arguments):
    run_one.RUNNER = studies.RUNNER
    preparation.resolve_methods = as_written
    preparation.reference_runs = lambda study, tasks, train_rows: []
    models.check_model = models.load_tokenizer = lambda source: None
    sys.modules["holdfast.training.run.preview"] = SimpleNamespace(
        load_notes=lambda run, task: [],
        count_truncated=lambda run, task, splits: {},
        reading_notes=lambda run, task, splits: ([], []),
    )
    sys.modules["holdfast.training.run.check"] = SimpleNamespace(check_run=lambda spec, task: None)
    sys.modules["holdfast.study.plan.controls"] = SimpleNamespace(control_notes=lambda methods, baseline: [])
    if arguments[0] == "study":
        data, out, seeds = arguments[1:]
        studies.run(studies.prepared(Path(data), seeds=int(seeds)), Path(out), Told())
        return 0
    from holdfast.cli.main import main

    return main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

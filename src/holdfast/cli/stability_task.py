"""``holdfast stability task``: what limits stability on a task of the user's own."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.study.define.options import read_data


@o.taking(o.READING, o.TRAINING, o.TRUST)
def task(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(help="Task name, hub id (org/name:config), file or folder.", show_default=False)
    ],
    model: o.Model = None,
    revision: o.Revision = None,
    seed: Annotated[int, o.seed("Seed of head, order and all draws. Default: 0.")] = 0,
    tune_steps: Annotated[
        int,
        typer.Option(min=0, help="Steps of a short tuning of the whole model; 0 leaves full tuning out."),
    ] = 10,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for all numbers.", show_default=False)] = None,
    train_size: o.TrainSize = None,
    subset_seed: o.SubsetSeed = None,
    threads: Annotated[int | None, o.option("CPU threads. Default: all cores.")] = None,
    **more: Any,
) -> None:
    """Measure what limits the stability of tuning on your task, and say which method acts on it.

    Too few examples, a small margin between classes, a long way from the pre-trained weights, too high a learning
    rate, too few steps: each is judged by what changes when it is changed, on the features of the pre-trained model.

    \b
    Examples:
      holdfast stability task tickets.csv
      holdfast stability task rte --data-dir glue --train-size 200 --json rte.json
    """
    from rich.console import Console

    from holdfast.cli import display
    from holdfast.errors import HoldfastError
    from holdfast.report.diagnosis import show_diagnosis
    from holdfast.study.diagnosis.diagnose import diagnose
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.store.atomic import write_text

    # A task's options are keys of a study; here they describe its one plain run.
    given: dict[str, Any] = {**context.params, "methods": ["vanilla"], "seeds": [seed]}
    study, study_file = read_data([data], given)
    if study_file is not None:
        raise HoldfastError(f"{data}: stability task looks at one task; give a task, file or folder")
    if json_file is not None and (json_file.is_dir() or not json_file.parent.is_dir()):
        raise HoldfastError(f"--json {json_file}: give a file in a folder that exists")
    prepared = prepare(study, context.params["data_dir"])
    display.announce(prepared)
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    if sys.stdout.isatty() and sys.stderr.isatty():
        with display.live_progress() as live:
            bar = live.add_task(prepared.tasks[0].name, total=None, state="")

            def show(phase: str, done: int, total: int) -> None:
                live.update(bar, total=total, completed=done, state=phase)

            found = diagnose(prepared, tune_steps, show)
    else:
        found = diagnose(prepared, tune_steps)
    show_diagnosis(found, Console())
    if json_file is not None:
        write_text(json_file, found.model_dump_json(indent=2))
        typer.echo(f"numbers: {json_file}")

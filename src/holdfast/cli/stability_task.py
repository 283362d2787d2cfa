"""``holdfast stability task``: what limits stability on a task of the user's own."""

from typing import Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.cli.json_file import JsonFile, check_json_file, write_json
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
    json_file: JsonFile = None,
    train_size: o.TrainSize = None,
    subset_seed: o.SubsetSeed = None,
    threads: o.AllThreads = None,
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
    from holdfast.study.run.executors.environment import use_threads

    # A task's options are keys of a study; here they describe its one plain run.
    given: dict[str, Any] = {**context.params, "methods": ["vanilla"], "seeds": [seed]}
    study, study_file = read_data([data], given)
    if study_file is not None:
        raise HoldfastError(f"{data}: stability task looks at one task; give a task, file or folder")
    check_json_file(json_file)
    prepared = prepare(study, context.params["data_dir"])
    display.announce(prepared)
    use_threads(threads)
    with display.one_bar(prepared.tasks[0].name) as move:
        results = diagnose(prepared, tune_steps, move)
    show_diagnosis(results, Console())
    write_json(json_file, results)

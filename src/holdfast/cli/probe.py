"""``holdfast probe``: what linear probes find in checkpoints, beside the pre-trained model."""

from typing import Annotated, Any, Literal

import typer

from holdfast.cli import options as o
from holdfast.cli.json_file import JsonFile, check_json_file, write_json
from holdfast.errors import HoldfastError
from holdfast.records.model_source import ModelSource
from holdfast.study.define.options import read_data, task_names


@o.taking(o.READING, o.TRUST)
def probe(
    context: typer.Context,
    checkpoints: Annotated[
        list[str],
        typer.Argument(metavar="CHECKPOINT", help="Tuned models: folders or hub ids.", show_default=False),
    ],
    tasks: Annotated[str, o.option("Tasks to probe on, separated by commas: names, hub ids, files or folders.")],
    pretrained: Annotated[
        str, o.option("Model that the checkpoints were tuned from: minilm, a folder, or a hub id. Default: minilm.")
    ] = "minilm",
    revision: Annotated[str | None, o.option("Branch, tag or commit of --pretrained on the hub.")] = None,
    layers: Annotated[
        str, o.option("Hidden layers: -1 the last, 0 the embeddings, 0,3,6 several, or all. Default: -1.")
    ] = "-1",
    pooling: o.Pooling = None,
    train_size: Annotated[int | None, o.option("Training rows that a probe learns from. Default: all.")] = None,
    scored_rows: o.ScoredRows = None,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="Probes of each model, on different rows held out. Default: 3.", show_default=False),
    ] = 3,
    max_length: o.MaxLength = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows in a forward pass. Default: 64.", show_default=False)
    ] = 64,
    json_file: JsonFile = None,
    threads: o.AllThreads = None,
    **more: Any,
) -> None:
    """Probe checkpoints: what can a linear model still read from their frozen features?

    A linear classifier is trained on the features of each checkpoint and of the pre-trained model, on tasks other than
    the one tuned on: what tuning kept of what the model knew, and what it lost. Features are extracted once and kept in
    HOLDFAST_CACHE, or ~/.cache/holdfast, whose folder "features" may be deleted at any time.

    \b
    Examples:
      holdfast probe holdfast-runs/sst2/best --tasks rte,trec --data-dir glue
      holdfast probe vanilla/model r3f/model --tasks trec --layers all --train-size 2000
      holdfast probe my-bert --tasks tickets.csv --pretrained google-bert/bert-base-uncased
    """
    from rich.console import Console

    from holdfast.cli import display
    from holdfast.collapse.probes.cache import FeatureCache, default_cache
    from holdfast.collapse.probes.checkpoints import check_checkpoint
    from holdfast.collapse.probes.probe_checkpoints import ProbePlan, probe_checkpoints
    from holdfast.collapse.probes.probe_reading import sentences
    from holdfast.report.probes import probe_report
    from holdfast.report.terminal import show as show_report
    from holdfast.study.run.executors.environment import use_threads
    from holdfast.tasks import load_task

    given = context.params
    remote_code, pickled_weights, data_dir = (given[name] for name in ("remote_code", "pickled_weights", "data_dir"))
    reading = {name: given[name] for name in (*o.READING, "scored_rows")}
    study, study_file = read_data(task_names(tasks, "--tasks"), reading)
    if study_file is not None:
        raise HoldfastError(f"--tasks {tasks}: a study file names no tasks to probe; give tasks, files or folders")
    check_json_file(json_file)
    plan = ProbePlan(
        layers=read_layers(layers),
        pooling=pooling or "auto",
        train_size=train_size,
        seeds=seeds,
        max_length=ProbePlan.max_length if max_length is None else max_length,
        batch_size=batch_size,
    )
    start = ModelSource(pretrained, revision, remote_code, pickled_weights)
    models = [ModelSource(checkpoint, None, remote_code, pickled_weights) for checkpoint in checkpoints]
    for model in (start, *models):
        # First, since data may take long to load.
        check_checkpoint(model)
    loaded = [load_task(spec, data_dir) for spec in study.tasks]
    use_threads(threads)
    with display.one_bar("probes") as move:
        results = probe_checkpoints(start, models, loaded, plan, FeatureCache(default_cache()), move)
    for task in results.tasks:
        for note in task.notes:
            typer.echo(f"note: {task.task}: {note}", err=True)
        for warning in task.warnings:
            typer.echo(f"warning: {task.task}: {warning}", err=True)
    show_report(probe_report(results, sentences(results)), Console())
    write_json(json_file, results)


def read_layers(text: str) -> list[int] | Literal["all"]:
    """Return ``"0,3,-1"`` as a list and ``"all"`` as it is. Raises ``HoldfastError`` for anything else."""
    if text.strip() == "all":
        return "all"
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise HoldfastError(f"--layers {text!r} is neither 'all' nor numbers of layers, such as -1 or 0,3,6") from None

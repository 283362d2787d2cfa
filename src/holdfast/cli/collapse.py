"""``holdfast collapse``: what tuning on tasks in turn does to the representation, by the published protocols."""

from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.cli.help import show_help
from holdfast.study.define.options import read_data, study_keys, task_names

_Source = Annotated[str, o.option("Task to tune on first: a name, hub id, file or folder.")]
_Chain = Annotated[str, o.option("Tasks to tune on after it, in this order, separated by commas.")]
_STUDY: dict[str, Any] = {
    "model": o.Model,
    "revision": o.Revision,
    "methods": o.Methods,
    "baseline": o.Baseline,
    "seeds": o.Seeds,
    "train_size": o.TrainSizes,
    "subset_seed": o.SubsetSeed,
    "delta": o.Delta,
    **o.PROBING,
    "scored_rows": o.ScoredRows,
    "monitor": o.Monitor,
    "data_dir": o.DataDir,
    **o.TRAINING,
    **o.ARITHMETIC,
    "out": o.Out,
    **o.RUNS,
    **o.TRUST,
}

app = typer.Typer(
    name="collapse",
    help="""Measure how long what was learned lasts. What tuning on one task did to others, compare --probe tells.

    \b
    Examples:
      holdfast compare sst2 --probe rte,mrpc,trec
      holdfast collapse chain --source sst2 --chain qnli,qqp,rte --methods vanilla,r3f,r4f
      holdfast collapse cycles --source sst2 --chain qnli,qqp,rte --methods vanilla,r4f --cycles 3
    """,
    rich_markup_mode=None,
)


app.callback(invoke_without_command=True)(show_help)


@app.command()
@o.taking(_STUDY)
def chain(context: typer.Context, source: _Source, chain: _Chain, **more: Any) -> None:
    """Tune one model on several tasks in turn, and probe the first of them after each.

    \b
    Example:
      holdfast collapse chain --source sst2 --chain qnli,qqp,rte --methods vanilla,r3f,r4f --train-size 1000
    """
    _launch(context, "chain")


@app.command()
@o.taking(_STUDY)
def cycles(
    context: typer.Context,
    source: _Source,
    chain: _Chain,
    cycles: Annotated[int, o.option("How often to go round all of them. Default: 3.")] = 3,
    **more: Any,
) -> None:
    """Tune one model on several tasks in turn, again and again, and probe each task just before its own turn.

    \b
    Example:
      holdfast collapse cycles --source sst2 --chain qnli,qqp,rte --methods vanilla,r4f --train-size 1000
    """
    _launch(context, "cycles")


def _launch(context: typer.Context, protocol: str) -> None:
    from holdfast.cli.launch import launch
    from holdfast.study.define.folders import folder_name

    # The name of a key of a task, too.
    given = {name: value for name, value in context.params.items() if name != "source"}
    source = context.params["source"]
    tasks = [source, *task_names(given["chain"], "--chain")]
    study, _ = read_data(tasks, study_keys(given) | {"sequence": protocol})
    out = given["out"] or Path("holdfast-runs", folder_name(f"collapse-{protocol}-{source}"))
    launch(study, given["data_dir"], out, dry_run=given["dry_run"], retry_failed=given["retry_failed"])

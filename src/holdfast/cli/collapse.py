"""``holdfast collapse``: what tuning did to the representation, by the published protocols; its commands."""

from pathlib import Path
from typing import Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.errors import HoldfastError
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
    help="""Measure what tuning does to the representation, and how long what was learned lasts.

    \b
    Examples:
      holdfast collapse probe --source sst2 --tasks rte,mrpc,trec
      holdfast collapse chain --source sst2 --chain qnli,qqp,rte --methods vanilla,r3f,r4f
      holdfast collapse cycles --source sst2 --chain qnli,qqp,rte --methods vanilla,r4f --cycles 3
    """,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _start(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@o.taking(_STUDY)
def probe(
    context: typer.Context,
    source: _Source,
    tasks: Annotated[str, o.option("Tasks to probe the tuned models on, separated by commas.")],
    **more: Any,
) -> None:
    """Tune on one task, then probe the frozen models on others: what is left of what the model knew?

    The pre-trained model stands beside them under the same probes. The same as `holdfast compare SOURCE --probe TASKS`.

    \b
    Example:
      holdfast collapse probe --source sst2 --tasks rte,mrpc,trec --methods vanilla,r3f,r4f --train-size 2000
    """
    _launch(context, f"probe-{source}", [source], {"probed": _tasks(context, tasks)})


@app.command()
@o.taking(_STUDY)
def chain(
    context: typer.Context,
    source: _Source,
    chain: _Chain,
    **more: Any,
) -> None:
    """Tune one model on several tasks in turn, and probe the first of them after each.

    \b
    Example:
      holdfast collapse chain --source sst2 --chain qnli,qqp,rte --methods vanilla,r3f,r4f --train-size 1000
    """
    _launch(context, f"chain-{source}", [source, *task_names(chain, "--chain")], {"sequence": "chain"})


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
    _launch(
        context, f"cycles-{source}", [source, *task_names(chain, "--chain")], {"sequence": "cycles", "cycles": cycles}
    )


def _launch(context: typer.Context, name: str, tasks: list[str], keys: dict[str, Any]) -> None:
    from holdfast.cli.launch import launch
    from holdfast.study.define.folders import folder_name

    given = context.params
    # These are names of keys of a study and of a task, too.
    options = study_keys({key: value for key, value in given.items() if key not in ("source", "tasks")}) | keys
    study, study_file = read_data(tasks, options)
    if study_file is not None:
        raise HoldfastError(f"--source {tasks[0]}: this is a study file, which holdfast compare runs; give a task")
    out = given["out"] or Path("holdfast-runs", folder_name(f"collapse-{name}"))
    launch(study, given["data_dir"], out, dry_run=given["dry_run"], retry_failed=given["retry_failed"])


def _tasks(context: typer.Context, text: str) -> list[dict[str, Any]]:
    limit = context.params["scored_rows"]
    more = {} if limit is None else {"scored_rows": limit}
    return [{"source": name, **more} for name in task_names(text, "--tasks")]

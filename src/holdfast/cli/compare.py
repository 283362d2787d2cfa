"""``holdfast compare``: methods against each other over seeds, on one or several tasks."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from holdfast.cli import options as o
from holdfast.cli.stopping import exit_code


def compare(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(
            help="Task names, hub ids (org/name:config), files (.csv .tsv .jsonl .parquet) or folders; "
            "or one study file (.yaml).",
            show_default=False,
        ),
    ],
    model: o.Model = None,
    revision: o.Revision = None,
    methods: Annotated[
        str | None, o.option('Methods, separated by commas: "vanilla,r3f(sigma=0.0)". Default: vanilla,r3f,r4f.')
    ] = None,
    method: Annotated[
        list[str] | None, o.option("A method, such as r3f or r3f(weight=0.5)+other; may be given several times.")
    ] = None,
    baseline: Annotated[
        str | None, o.option("Method that the others are compared with. Default: vanilla, else the first.")
    ] = None,
    seeds: Annotated[str | None, o.option("How many seeds, or which: 5 or 0,3,8. Default: 3.")] = None,
    data_seeds: Annotated[
        str | None, o.option("Orders of the training rows, one a seed: 5 or 0,3,8. Default: the seeds.")
    ] = None,
    max_seeds: Annotated[
        int | None,
        o.option("Declare that seeds may be added once, up to so many; both looks then use 97.5 % intervals."),
    ] = None,
    perturb: Annotated[
        Literal["data"] | None,
        o.option(
            "data: also train, with the first seed, on as many training sets that lack 10 % of their rows at random. "
            "Tells luck with the rows from luck with the seed; no part of the comparison."
        ),
    ] = None,
    delta: Annotated[
        float | None, o.option("Smallest difference that matters, in points, decided before the runs. Default: 1.")
    ] = None,
    out: Annotated[Path | None, o.option("Folder for the results. Default: holdfast-runs/<tasks>.")] = None,
    train_size: o.TrainSize = None,
    subset_seed: o.SubsetSeed = None,
    text: o.Text = None,
    text_pair: o.TextPair = None,
    label: o.Label = None,
    kind: o.Kind = None,
    validation: o.Validation = None,
    test: o.Test = None,
    holdout: o.Holdout = None,
    size: o.Size = None,
    data_dir: o.DataDir = None,
    epochs: o.Epochs = None,
    max_steps: o.MaxSteps = None,
    batch_size: o.BatchSize = None,
    eval_batch_size: o.EvalBatchSize = None,
    accumulation: o.Accumulation = None,
    learning_rate: o.LearningRate = None,
    weight_decay: o.WeightDecay = None,
    warmup: o.Warmup = None,
    schedule: o.Schedule = None,
    max_grad_norm: o.MaxGradNorm = None,
    max_length: o.MaxLength = None,
    precision: o.Precision = None,
    activation_checkpointing: o.ActivationCheckpointing = False,
    workers: Annotated[
        int | None, o.option("Runs at a time, each in a process of its own; 0: in this process. Default: 1.")
    ] = None,
    threads: Annotated[int | None, o.option("CPU threads of a run. Default: the cores shared by the workers.")] = None,
    dry_run: Annotated[bool, o.flag("--dry-run", "Show the runs and roughly how long they take, then stop.")] = False,
    retry_failed: Annotated[bool, o.flag("--retry-failed", "Do runs again that stopped with an error.")] = False,
    remote_code: o.RemoteCode = False,
    pickled_weights: o.PickledWeights = False,
) -> None:
    """Compare fine-tuning methods over seeds, and keep the best model.

    Every method is trained once for each seed. The results are a table with a verdict for each method, report.html,
    summary.json, and best/, the best model as an ordinary checkpoint. The same command goes on where a stopped one
    was; with more seeds or methods, or with --perturb, it adds those.

    \b
    Examples:
      holdfast compare tickets.csv --methods vanilla,r3f,r4f --seeds 5
      holdfast compare reviews.csv --text body --label stars --test held-out.csv
      holdfast compare rte cola --data-dir glue --train-size 500
      holdfast compare playground/agreement --methods "vanilla,r3f,r3f(sigma=0.0)"
      holdfast compare rte --data-dir glue --seeds 10 --perturb data
      holdfast compare study.yaml --dry-run
    """
    from holdfast.cli import display
    from holdfast.cli.outputs import OUTPUTS, show_results
    from holdfast.cli.plan import how_to_go_on, show_plan
    from holdfast.study.execute import run_study
    from holdfast.study.prepare import prepare
    from holdfast.study.store import Store

    given: dict[str, Any] = {
        **context.params,
        "seeds": o.seed_list(seeds, "--seeds"),
        "data_seeds": o.seed_list(data_seeds, "--data-seeds"),
        "methods": [*([] if methods is None else [methods]), *(method or [])],
    }
    study, study_file = o.read_data(data, given)
    prepared = prepare(study, data_dir)
    target = out or o.default_out(study_file, [task.name for task in prepared.tasks])
    Store(target).check(prepared.study, prepared.stored)
    display.announce(prepared)
    if dry_run:
        show_plan(prepared, target)
        return
    typer.echo(f"results go to {target}", err=True)
    try:
        with display.listening() as listener:
            summary = run_study(prepared, target, listener, OUTPUTS, retry_failed=retry_failed)
    except KeyboardInterrupt as stop:
        typer.echo(how_to_go_on(prepared, target), err=True)
        raise typer.Exit(exit_code(stop)) from None
    show_results(summary, target)

"""``holdfast compare``: methods against each other over seeds, on one or several tasks."""

from typing import Annotated, Any, Literal

import typer

from holdfast.cli import options as o
from holdfast.study.define.options import read_data, study_keys


@o.taking(o.PROBING, o.READING, o.TRAINING, o.ARITHMETIC, o.RUNS, o.TRUST)
def compare(
    context: typer.Context,
    data: Annotated[
        list[str],
        typer.Argument(
            help="Task names, hub ids (org/name:config), files (.csv .tsv .jsonl .parquet .conll) or folders; "
            "or one study file (.yaml).",
            show_default=False,
        ),
    ],
    model: o.Model = None,
    seq2seq_from_encoder: o.Seq2seqFromEncoder = None,
    revision: o.Revision = None,
    methods: o.Methods = None,
    method: Annotated[
        list[str] | None, o.option("A method, such as r3f or r3f(weight=0.5)+other; may be given several times.")
    ] = None,
    baseline: o.Baseline = None,
    seeds: o.Seeds = None,
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
    ood: o.Ood = None,
    probed: o.Probed = None,
    monitor: o.Monitor = None,
    no_references: o.NoReferences = False,
    delta: o.Delta = None,
    out: o.Out = None,
    train_size: o.TrainSizes = None,
    subset_seed: o.SubsetSeed = None,
    **more: Any,
) -> None:
    """Compare fine-tuning methods over seeds, and keep the best model.

    Every method is trained once for each seed. The results are a table with a verdict for each method, report.html,
    summary.json, and best/, the best model as an ordinary checkpoint. The same command goes on where a stopped one
    was; with more seeds or methods, or with --perturb, it adds those. --ood and --probe tell what tuning did beside
    the task: scores on other data, and what linear probes still find in the representation.

    \b
    Examples:
      holdfast compare tickets.csv --methods vanilla,r3f,r4f --seeds 5
      holdfast compare reviews.csv --text body --label stars --test held-out.csv
      holdfast compare rte cola --data-dir glue --train-size 500
      holdfast compare playground/agreement --methods "vanilla,r3f,r3f(sigma=0.0)"
      holdfast compare rte --data-dir glue --seeds 10 --perturb data
      holdfast compare snli --data-dir nli --ood scitail,sick --train-size 300,1000
      holdfast compare study.yaml --dry-run
    """
    from holdfast.cli.launch import launch

    given = context.params
    study, study_file = read_data(data, study_keys(given))
    launch(study, given["data_dir"], out, study_file, dry_run=given["dry_run"], retry_failed=given["retry_failed"])

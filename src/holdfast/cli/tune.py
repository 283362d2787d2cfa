"""``holdfast tune``: one run, for its model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.wording import score

if TYPE_CHECKING:
    from holdfast.training.run.progress import Progress


@o.taking(o.READING, o.TRAINING, o.ARITHMETIC, o.TRUST)
def tune(
    context: typer.Context,
    data: Annotated[
        str, typer.Argument(help="Task name, hub id (org/name:config), file or folder.", show_default=False)
    ],
    method: Annotated[str, o.option("Method, such as r3f(weight=0.5), or several joined by +. Default: r3f.")] = "r3f",
    out: Annotated[Path | None, o.option("Folder for the model. Default: holdfast-models/<task>.")] = None,
    model: o.Model = None,
    seq2seq_from_encoder: o.Seq2seqFromEncoder = None,
    revision: o.Revision = None,
    seed: Annotated[int, o.seed("Seed of head, dropout and noise. Default: 0.")] = 0,
    data_seed: Annotated[int | None, o.seed("Order of the training rows. Default: the seed.")] = None,
    train_size: o.TrainSize = None,
    subset_seed: o.SubsetSeed = None,
    threads: o.AllThreads = None,
    **more: Any,
) -> None:
    """Fine-tune one model with one method, and save it as an ordinary checkpoint with a model card.

    One run says little about a method; `holdfast compare` tells which to use on your data.

    \b
    Examples:
      holdfast tune tickets.csv --method r3f --out tickets-model
      holdfast tune rte --data-dir glue --method "r3f(sigma=0.001)" --epochs 5
    """
    from holdfast.cli import display
    from holdfast.report.card import model_card
    from holdfast.study.define.options import read_tune
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.run.executors.environment import use_threads
    from holdfast.study.run.tune import check_free, default_folder
    from holdfast.study.run.tune import tune as tune_one

    prepared = prepare(read_tune(data, context.params), context.params["data_dir"])
    name = prepared.tasks[0].name
    target = out or default_folder(prepared)
    check_free(target)
    display.announce(prepared)
    use_threads(threads)
    with display.one_bar(f"{name}  {prepared.grid[0].method}") as move:

        def show(progress: "Progress") -> None:
            move(display.running_state(progress), progress.step, progress.total or None)

        record = tune_one(prepared, target, lambda record: model_card(None, record, None), show)
    points = score(record.metrics.get(record.primary))
    typer.echo(f"{name}: {record.primary} {points} on {record.scored_rows} {record.scored_split} rows")
    typer.echo(f"model: {target}")

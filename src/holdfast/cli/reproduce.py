"""``holdfast reproduce``: a table of a paper again, its numbers beside the measured ones."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli import options as o
from holdfast.study.define.options import study_keys, study_options, task_names

if TYPE_CHECKING:
    from holdfast.study.define.recipe import Recipe
    from holdfast.study.define.study_file import StudyFile


@o.taking(o.TRAINING, o.ARITHMETIC, o.RUNS, o.TRUST)
def reproduce(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="A recipe, such as r3f-glue.", show_default=False)] = None,
    listing: Annotated[bool, o.flag("--list", "Show every recipe and stop.")] = False,
    task: Annotated[str | None, o.option("Tasks of the recipe, separated by commas. Default: all.")] = None,
    smoke: Annotated[
        bool,
        o.flag("--smoke", "Check that the recipe runs: a tiny random model, generated text, no hub, no GPU; seconds."),
    ] = False,
    methods: Annotated[str | None, o.option("Methods in place of the recipe's.")] = None,
    seeds: Annotated[str | None, o.option("How many seeds, or which: 5 or 0,3,8. Default: the recipe's.")] = None,
    model: Annotated[str | None, o.option("Model in place of the recipe's, for a cheaper look.")] = None,
    train_size: o.TrainSize = None,
    data_dir: o.DataDir = None,
    out: Annotated[Path | None, o.option("Folder for the results. Default: holdfast-runs/<recipe>.")] = None,
    **more: Any,
) -> None:
    """Run a table of a paper again, and show the paper's numbers beside the measured ones.

    A recipe is one study a task, in a folder of its own, with the paper's settings as far as they are known. Those that
    are not verified are told first. Options for training replace the recipe's settings, which is told beside the
    results. The same command goes on where a stopped one was. The recipes need a GPU and the model hub; --smoke needs
    neither.

    \b
    Examples:
      holdfast reproduce --list
      holdfast reproduce r3f-glue --task rte --dry-run
      holdfast reproduce r3f-glue --task rte,mrpc --seeds 5
      holdfast reproduce r3f-glue --smoke
    """
    from holdfast.errors import HoldfastError
    from holdfast.study.define.recipe import load_recipe

    if listing:
        if name is not None:
            raise HoldfastError(f"{name}: --list shows every recipe; leave one of them out")
        _list()
        return
    if name is None:
        raise HoldfastError("which recipe? `holdfast reproduce --list` lists them")
    recipe = load_recipe(name)
    tasks = _tasks(recipe, task)
    target = out or Path("holdfast-runs", f"{name}-smoke" if smoke else name)
    options = study_options(study_keys(context.params))
    if smoke:
        from holdfast.study.smoke.prepare import DATA, prepare_smoke, spared

        for option, value in (("--model", model), ("--data-dir", data_dir), ("--train-size", train_size)):
            if value is not None:
                raise HoldfastError(f"{option}: --smoke makes its own model and data; leave one of them out")
        if context.params["dry_run"]:
            raise HoldfastError("--dry-run: --smoke writes a model and data, and takes seconds; leave one of them out")
        base = prepare_smoke(recipe, tasks, target)
        data_dir = target / DATA
        options = {**base, **options, "settings": {**base["settings"], **options.get("settings", {})}}
    _tell(recipe, smoke)
    studies = {one: _study(recipe, one, options) for one in tasks}
    flags = {flag: context.params[flag] for flag in ("dry_run", "retry_failed")}
    with spared() if smoke else nullcontext():
        _run(studies, data_dir, target, **flags)


def _tasks(recipe: "Recipe", text: str | None) -> list[str]:
    from holdfast.errors import HoldfastError, nearest

    tasks = list(recipe.tasks) if text is None else list(dict.fromkeys(task_names(text, "--task")))
    for one in tasks:
        if one not in recipe.tasks:
            raise HoldfastError(
                f"--task {one}: {recipe.name} has no such task{nearest(one, recipe.tasks)}; "
                f"it has {', '.join(recipe.tasks)}"
            )
    return tasks


def _study(recipe: "Recipe", task: str, options: dict[str, Any]) -> "StudyFile":
    from holdfast.study.define.study_file import from_options

    values = recipe.values(task)
    return from_options({**values, **options, "settings": {**values["settings"], **options.get("settings", {})}})


def _list() -> None:
    from holdfast.study.define.recipe import load_recipe, recipe_names

    for name in recipe_names():
        recipe = load_recipe(name)
        results = f"{recipe.results} results of the paper" if recipe.results else "none of the paper's results"
        typer.echo(f"{name}: {recipe.paper.title} (arXiv {recipe.paper.arxiv}), {recipe.table}")
        typer.echo(f"  {recipe.about}: {recipe.study['model']}")
        typer.echo(f"  tasks    {', '.join(recipe.tasks)}")
        typer.echo(f"  methods  {'; '.join(recipe.study['methods'])}")
        typer.echo(f"  verified {results}; {len(recipe.unverified)} of its keys are not verified")


def _tell(recipe: "Recipe", smoke: bool) -> None:
    from holdfast.report.sections.published import SMOKE, unverified

    typer.echo(f"{recipe.name}: {recipe.paper.title} (arXiv {recipe.paper.arxiv}), {recipe.table}", err=True)
    if smoke:
        typer.echo(SMOKE, err=True)
        return
    for line in unverified(recipe.unverified):
        typer.echo(f"{line[0].lower()}{line[1:]}", err=True)
    for sentence in recipe.differs:
        typer.echo(f"note: {sentence}", err=True)


def _run(
    studies: dict[str, "StudyFile"], data_dir: Path | None, target: Path, *, dry_run: bool, retry_failed: bool
) -> None:
    from rich.console import Console

    from holdfast.cli.launch import do
    from holdfast.report.block import Report
    from holdfast.report.markdown import markdown
    from holdfast.report.sections.published import paper_comparison
    from holdfast.report.terminal import show
    from holdfast.study.analysis.reproduction import reproductions, together
    from holdfast.study.plan.prepare import prepare
    from holdfast.study.store.atomic import write_text
    from holdfast.study.store.run_store import Store

    # Before the first run, since the last task's turn may come after days.
    prepared = {task: prepare(study, data_dir) for task, study in studies.items()}
    for task, one in prepared.items():
        Store(target / task).check(one.study, one.stored)
    failed = 0
    for task, one in prepared.items():
        try:
            do(one, target / task, dry_run=dry_run, retry_failed=retry_failed)
        except typer.Exit as end:
            if end.exit_code != 1:
                raise
            failed += 1
    if dry_run:
        return
    comparisons = reproductions(target, next(iter(studies.values())))
    path, all_tasks = target / "beside-the-paper.md", Report((paper_comparison(together(comparisons)),))
    write_text(path, markdown(all_tasks))
    if len(comparisons) > 1:
        show(all_tasks, Console(), {"all tasks beside the paper": path})
    if failed == len(studies):
        raise typer.Exit(1)

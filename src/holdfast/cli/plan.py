"""What ``holdfast compare`` says before the runs and when it is stopped."""

import shlex
from pathlib import Path

import typer

from holdfast.records.summary import Target
from holdfast.study.define.study_file import StudyFile
from holdfast.study.plan.prepare import Prepared
from holdfast.study.run.time_estimate import estimate
from holdfast.study.store.run_store import Store
from holdfast.tasks.show import show_task, two_rows
from holdfast.wording import count, roughly


def show_plan(prepared: Prepared, target: Path) -> None:
    """Print the grid of runs and a rough estimate of their time; write nothing."""
    from holdfast.training.run.preview import decoded_rows

    study, records = prepared.study, Store(target).records()
    plan = prepared.policy.planned(records)
    grid, least = plan.runs, "" if plan.complete else "at least "
    missing = [spec for spec in grid if spec.id not in records]
    perturbed = [spec.perturb for spec in grid if spec.perturb]
    references = [spec for spec in grid if spec.reference is not None]
    typer.echo(
        f"{least}{len(grid)} runs: {_what(study)} x {len(study.methods)} methods x {len(study.seeds)} seeds"
        + (", and as many on perturbed data" if perturbed else "")
        + (", and the pre-trained model" if any(spec.untrained and not spec.reference for spec in grid) else "")
        + (f", and {count(len(references), 'reference')} that take seconds" if references else "")
        + (f", {len(records)} of them done in {target}" if records else f", to be written to {target}")
    )
    typer.echo(f"model    {study.model}")
    for stored in prepared.stored:
        info = stored.info
        steps = study.settings.total_steps(info.train_rows)
        typer.echo(
            f"task     {info.task}: {info.train_rows} training rows, {steps} steps a run, "
            f"{info.metric} on {info.scored_rows} {info.scored_split} rows"
        )
    for spec, task in zip(study.tasks, prepared.tasks, strict=True):
        for line in show_task(task):
            typer.echo(f"         {line}")
        run = next(run for run in grid if run.task == spec)
        for number, text in enumerate(decoded_rows(run, task, two_rows(task.splits["train"])), start=1):
            typer.echo(f"           tokens   of row {number}: {text}")
    targets = [target for stored in prepared.stored for target in stored.info.targets]
    for line in dict.fromkeys(f"{target.kind:8} {_scored(target)}" for target in targets):
        typer.echo(line)
    for method in study.methods:
        typer.echo(f"method   {method}" + (" (baseline)" if method == study.baseline else ""))
    typer.echo(f"seeds    {', '.join(map(str, study.seeds))}")
    if perturbed:
        seeds = ", ".join(map(str, dict.fromkeys(one.seed for one in perturbed)))
        typer.echo(
            f"data     {perturbed[0].remove:.0%} of the training rows removed at random (draws {seeds}), "
            f"always with seed {study.seeds[0]}"
        )
    if not missing:
        typer.echo("time     nothing left to do")
        return
    try:
        guess = estimate(prepared, grid)
    except (RuntimeError, OSError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        typer.echo(f"time     could not be measured here: {reason}")
        return
    typer.echo(
        f"time     {least}roughly {roughly(guess.total(missing))} for {len(missing)} runs, {guess.slots} at a time; "
        "from a few steps of each method, timed just now on this machine"
    )
    for stored in prepared.stored:
        for method in study.methods:
            run = next(spec for spec in grid if spec.dataset_key == stored.dataset_key and spec.method == method)
            typer.echo(f"         {stored.info.task}  {method}  {roughly(guess.runs[run.id])} a run")


def _what(study: StudyFile) -> str:
    if study.sequence is not None:
        stages = len(study.tasks) * (study.cycles if study.sequence == "cycles" else 1)
        return f"{stages} stages in turn"
    sizes = f" x {len(study.train_sizes)} numbers of training rows" if len(study.train_sizes) > 1 else ""
    return f"{len(study.tasks)} tasks{sizes}"


def _scored(target: Target) -> str:
    return f"{target.name}: {target.metric} on {target.rows} {target.split} rows"


def how_to_go_on(prepared: Prepared, target: Path) -> str:
    """Return what to tell when a study was stopped: how far it is, and the command that goes on."""
    records = Store(target).records()
    command = ["holdfast", "compare", str(target / "study.yaml")]
    if prepared.data_dir is not None:
        command += ["--data-dir", str(prepared.data_dir)]
    for flag in ("remote_code", "pickled_weights"):
        if getattr(prepared.study, flag):
            command.append(f"--{flag.replace('_', '-')}")
    plan = prepared.policy.planned(records)
    total = f"{'' if plan.complete else 'at least '}{len(plan.runs)}"
    return f"stopped with {len(records)} of {total} runs done; go on with: {shlex.join(command)}"

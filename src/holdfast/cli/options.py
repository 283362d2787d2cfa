"""The options that commands share, and the studies that they describe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from holdfast.errors import HoldfastError
from holdfast.study.best import folder_name
from holdfast.study.study_file import StudyFile, from_options, read_study
from holdfast.tasks.spec import TaskSpec
from holdfast.training.spec import TrainingSettings

_SETTINGS = TrainingSettings()
_HOLDOUT = TaskSpec.model_fields["holdout"].default
_MODEL = StudyFile.model_fields["model"].default


def option(help: str) -> Any:
    """Return an option whose help tells the default itself, since None stands for "not given"."""
    return typer.Option(help=help, show_default=False)


def seed(help: str) -> Any:
    """Return an option whose value is one seed."""
    return typer.Option(help=help, show_default=False, min=0, max=2**32 - 1)


def flag(name: str, help: str) -> Any:
    """Return an option without a value and without a negative form."""
    return typer.Option(name, help=help, show_default=False)


Model = Annotated[
    str | None,
    option(f"Pre-trained model: {_MODEL} (all-MiniLM-L6-v2, works offline), a folder, or a hub id. Default: {_MODEL}."),
]
Revision = Annotated[str | None, option("Branch, tag or commit of a model on the hub.")]
Text = Annotated[str | None, option("Column with the text. Default: guessed where there is one possible reading.")]
TextPair = Annotated[str | None, option("Column with the second text of a pair.")]
Label = Annotated[str | None, option("Column with the label. Default: guessed, like --text.")]
Kind = Annotated[Literal["classification", "regression"] | None, option("Overrides what the label column suggests.")]
Validation = Annotated[Path | None, option("File with the validation rows, for a local DATA file.")]
Test = Annotated[Path | None, option("File with the test rows, for a local DATA file.")]
Holdout = Annotated[
    float | None,
    option(f"Share of the training rows held out when there is no validation split. Default: {_HOLDOUT}."),
]
Size = Annotated[int | None, option("Training rows to generate, for playground tasks. Default: 200.")]
DataDir = Annotated[
    Path | None,
    option("Folder with named tasks, <task>/<split>.jsonl. Default: the environment's HOLDFAST_DATA, else the hub."),
]
TrainSize = Annotated[int | None, option("Rows drawn from the training split. Default: all.")]
SubsetSeed = Annotated[int | None, option("Which rows --train-size draws. Default: 0.")]

Epochs = Annotated[float | None, option(f"Passes over the training rows. Default: {_SETTINGS.epochs:g}.")]
MaxSteps = Annotated[int | None, option("Optimizer steps, in place of --epochs.")]
BatchSize = Annotated[int | None, option(f"Rows in a forward pass. Default: {_SETTINGS.batch_size}.")]
EvalBatchSize = Annotated[
    int | None, option(f"Rows in a forward pass when scoring. Default: {_SETTINGS.eval_batch_size}.")
]
Accumulation = Annotated[int | None, option(f"Forward passes to an optimizer step. Default: {_SETTINGS.accumulation}.")]
LearningRate = Annotated[float | None, option(f"Peak learning rate of AdamW. Default: {_SETTINGS.learning_rate:.0e}.")]
WeightDecay = Annotated[float | None, option(f"Default: {_SETTINGS.weight_decay}.")]
Warmup = Annotated[
    float | None,
    option(f"Share of the steps when below 1, else a number of steps. Default: {_SETTINGS.warmup}."),
]
Schedule = Annotated[
    Literal["linear", "cosine", "constant_with_warmup"] | None,
    option(f"Learning rate after warm-up. Default: {_SETTINGS.schedule}."),
]
MaxGradNorm = Annotated[
    float | None, option(f"Gradients are clipped to this norm; 0: not at all. Default: {_SETTINGS.max_grad_norm}.")
]
MaxLength = Annotated[int | None, option(f"Tokens kept of a text or pair. Default: {_SETTINGS.max_length}.")]
Precision = Annotated[
    Literal["fp32", "bf16", "fp16"] | None, option(f"Arithmetic of training. Default: {_SETTINGS.precision}.")
]
ActivationCheckpointing = Annotated[
    bool, flag("--activation-checkpointing", "Save memory by computing activations twice.")
]
RemoteCode = Annotated[bool, flag("--remote-code", "Run code that comes with the model. Only for models you trust.")]
PickledWeights = Annotated[
    bool, flag("--pickled-weights", "Load pickled weights, which may run code. Only from people you trust.")
]


def read_data(data: list[str], given: Mapping[str, Any]) -> tuple[StudyFile, Path | None]:
    """Return the study that DATA and a command's parameters describe, and the study file where DATA is one.

    Raises ``HoldfastError`` for parameters that do not fit DATA or each other.
    """
    columns = _task_options(given)
    if not any(Path(item).suffix.lower() in (".yaml", ".yml") for item in data):
        for name in ("validation", "test"):
            if name in columns and len(data) > 1:
                raise HoldfastError(
                    f"--{name} belongs to one DATA and there are {len(data)}; list them in a study file"
                )
        tasks = [{"source": source, **columns} for source in data]
        return from_options({"tasks": tasks, **_study_options(given)}), None
    if len(data) > 1:
        raise HoldfastError(f"{', '.join(data)}: a study file stands alone; list the tasks in it")
    if columns:
        raise HoldfastError(f"--{next(iter(columns)).replace('_', '-')} says how to read DATA; put it into {data[0]}")
    path = Path(data[0])
    return read_study(path, _study_options(given)), path


def default_out(study_file: Path | None, tasks: Sequence[str]) -> Path:
    """Return where results go by default: the folder that a study file was written to, else one by name."""
    if study_file is None:
        return Path("holdfast-runs", "-".join(map(folder_name, tasks))[:100])
    if study_file.with_name("tasks.json").exists():
        return study_file.parent
    return Path("holdfast-runs", study_file.stem)


def _study_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``StudyFile`` that a command's parameters set; parameters not given are None or False."""
    options = {name: given[name] for name in StudyFile.model_fields if _set(given.get(name))}
    settings = {name: given[name] for name in TrainingSettings.model_fields if _set(given.get(name))}
    return {**options, "settings": settings} if settings else options


def _task_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``TaskSpec``, apart from its source, that a command's parameters set."""
    values = {name: given.get(name) for name in TaskSpec.model_fields if _set(given.get(name))}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def seed_list(text: str | None, option: str) -> int | list[int] | None:
    """Return ``"5"`` as a number of seeds and ``"0,3,8"`` as a list of them."""
    if text is None:
        return None
    try:
        # "42," is seed 42 alone, where "42" is 42 seeds.
        return [int(part) for part in text.removesuffix(",").split(",")] if "," in text else int(text)
    except ValueError:
        raise HoldfastError(
            f"{option}: {text!r} is neither a number of seeds, such as 5, nor a list, such as 0,3,8"
        ) from None


def _set(value: Any) -> bool:
    return value is not None and value is not False and value != []

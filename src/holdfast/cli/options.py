"""The options that commands share, and the studies that they describe."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from holdfast.cli.ood import parse_ood
from holdfast.errors import HoldfastError
from holdfast.study.best import folder_name
from holdfast.study.study_file import StudyFile, from_options, read_study
from holdfast.tasks import task
from holdfast.tasks.spec import TaskSpec
from holdfast.training.spec import ProbeSettings, TrainingSettings

_SETTINGS = TrainingSettings()
_HOLDOUT = TaskSpec.model_fields["holdout"].default
_MODEL = StudyFile.model_fields["model"].default
_PROBE = ProbeSettings()


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
Seq2seqFromEncoder = Annotated[
    str | None,
    option("Encoder to make both sides of an encoder-decoder of, in place of --model, for tasks that ask for a text."),
]
Revision = Annotated[str | None, option("Branch, tag or commit of a model on the hub.")]
TrainSizes = Annotated[
    str | None,
    option("Rows drawn from the training split; several, 100,300,1000, give a learning curve. Default: all."),
]
Ood = Annotated[
    str | None,
    typer.Option(
        "--ood",
        "--evaluate",
        help="Other tasks, or languages, to score every tuned model on as it is: scitail,sick, xnli_en,xnli_sw, or "
        'with its classes "mine.csv(yes=entailment,no=not_entailment)".',
        show_default=False,
    ),
]
Probed = Annotated[
    str | None,
    typer.Option(
        "--probe",
        help="Tasks on which linear probes of every tuned model's frozen body are scored: trec,subj.",
        show_default=False,
    ),
]
ProbeRows = Annotated[int | None, option("Training rows that a probe learns from. Default: all.")]
ProbeSeeds = Annotated[
    int | None, option(f"Probes of each model, on different rows held out. Default: {_PROBE.seeds}.")
]
ProbeLayer = Annotated[
    int | None, option("Hidden layer that probes read: 0 the embeddings, -1 the last. Default: the last.")
]
Pooling = Annotated[
    Literal["auto", "cls", "mean", "last"] | None,
    option("Tokens that probes read. Default: auto, those that the model's own head reads."),
]
Monitor = Annotated[
    int | None, option("Look at the representation every so many steps of training. Default: only at its end.")
]
ScoredRows = Annotated[
    int | None, option("Score at most so many rows of each task, drawn once and for all. Default: all.")
]
Methods = Annotated[
    str | None, option('Methods, separated by commas: "vanilla,r3f(sigma=0.0)". Default: vanilla,r3f,r4f.')
]
Baseline = Annotated[str | None, option("Method that the others are compared with. Default: vanilla, else the first.")]
Seeds = Annotated[str | None, option("How many seeds, or which: 5 or 0,3,8. Default: 3.")]
Delta = Annotated[
    float | None, option("Smallest difference that matters, in points, decided before the runs. Default: 1.")
]
Out = Annotated[Path | None, option("Folder for the results. Default: holdfast-runs/<tasks>.")]
Workers = Annotated[int | None, option("Runs at a time, each in a process of its own; 0: in this process. Default: 1.")]
Threads = Annotated[int | None, option("CPU threads of a run. Default: the cores shared by the workers.")]
DryRun = Annotated[bool, flag("--dry-run", "Show the runs and roughly how long they take, then stop.")]
RetryFailed = Annotated[bool, flag("--retry-failed", "Do runs again that stopped with an error.")]
Text = Annotated[str | None, option("Column with the text. Default: guessed where there is one possible reading.")]
TextPair = Annotated[str | None, option("Column with the second text of a pair.")]
Label = Annotated[str | None, option("Column with the label. Default: guessed, like --text.")]
Kind = Annotated[
    task.Kind | None,
    option("Overrides what the columns suggest."),
]
Validation = Annotated[Path | None, option("File with the validation rows, for a local DATA file.")]
Test = Annotated[Path | None, option("File with the test rows, for a local DATA file.")]
Read = Annotated[
    list[str] | None,
    option(
        "How a file is laid out, KEY=VALUE, where it leaves more than one way: encoding=windows-1252, separator=tab, "
        "quotes=no, header=no, missing=drop (or keep), rejected=drop (or keep), first=1 (of numbered choices); may be "
        "given several times."
    ),
]
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
LabelSmoothing = Annotated[
    float | None,
    option(f"Share of a label spread over all classes or tokens. Default: {_SETTINGS.label_smoothing}."),
]
MaxTargetLength = Annotated[
    int | None, option(f"Tokens kept of a text to write, and written. Default: {_SETTINGS.max_target_length}.")
]
NumBeams = Annotated[
    int | None, option(f"Texts in view in the search for what to write. Default: {_SETTINGS.num_beams}.")
]
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


READING: dict[str, Any] = {
    "text": Text,
    "text_pair": TextPair,
    "label": Label,
    "kind": Kind,
    "validation": Validation,
    "test": Test,
    "holdout": Holdout,
    "read": Read,
    "size": Size,
    "data_dir": DataDir,
}
"""How DATA are read."""
PROBING: dict[str, Any] = {
    "probe_rows": ProbeRows,
    "probe_seeds": ProbeSeeds,
    "probe_layer": ProbeLayer,
    "pooling": Pooling,
}
"""How probes are trained."""
TRAINING: dict[str, Any] = {
    "epochs": Epochs,
    "max_steps": MaxSteps,
    "batch_size": BatchSize,
    "eval_batch_size": EvalBatchSize,
    "accumulation": Accumulation,
    "learning_rate": LearningRate,
    "weight_decay": WeightDecay,
    "warmup": Warmup,
    "schedule": Schedule,
    "max_grad_norm": MaxGradNorm,
    "max_length": MaxLength,
    "label_smoothing": LabelSmoothing,
    "max_target_length": MaxTargetLength,
    "num_beams": NumBeams,
}
"""How a run trains."""
ARITHMETIC: dict[str, Any] = {"precision": Precision, "activation_checkpointing": ActivationCheckpointing}
"""In what arithmetic, and with what memory."""
RUNS: dict[str, Any] = {"workers": Workers, "threads": Threads, "dry_run": DryRun, "retry_failed": RetryFailed}
"""Where the runs of a study happen, and which."""
TRUST: dict[str, Any] = {"remote_code": RemoteCode, "pickled_weights": PickledWeights}
"""What may run code."""

_FLAGS = ("activation_checkpointing", "dry_run", "retry_failed", "remote_code", "pickled_weights")


def taking(*groups: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that gives a command, which takes them as ``**more``, further options after its own."""
    options = {name: kind for group in groups for name, kind in group.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command)
        kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=False if name in _FLAGS else None, annotation=kind
            )
            for name, kind in options.items()
        ]
        command.__signature__ = own.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
        command.__annotations__ = {**{one.name: one.annotation for one in kept}, **options, "return": None}
        return command

    return decorate


def study_keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``given``, a command's parameters, with those that are lists or parts of a key in the form of the study's.

    Raises ``HoldfastError`` for seeds and numbers of rows that cannot be read.
    """
    names = {"rows": "probe_rows", "seeds": "probe_seeds", "layer": "probe_layer", "pooling": "pooling"}
    probe = {key: given[name] for key, name in names.items() if given.get(name) is not None}
    ood, probed = given.get("ood"), given.get("probed")
    methods = given.get("methods")
    return {
        **given,
        "methods": [*([] if methods is None else [methods]), *(given.get("method") or [])],
        "seeds": number_list(given.get("seeds"), "--seeds", "seeds"),
        "data_seeds": number_list(given.get("data_seeds"), "--data-seeds", "seeds"),
        "train_size": number_list(given.get("train_size"), "--train-size", "rows"),
        "ood": parse_ood(ood) if ood is not None else None,
        "probed": [{"source": name} for name in task_names(probed, "--probe")] if probed is not None else None,
        "probe": probe or None,
    }


def read_data(data: list[str], given: Mapping[str, Any]) -> tuple[StudyFile, Path | None]:
    """Return the study that DATA and a command's parameters describe, and the study file where DATA is one.

    Raises ``HoldfastError`` for parameters that do not fit DATA or each other.
    """
    columns = task_options(given)
    if not any(Path(item).suffix.lower() in (".yaml", ".yml") for item in data):
        for name in ("validation", "test"):
            if name in columns and len(data) > 1:
                raise HoldfastError(
                    f"--{name} belongs to one DATA and there are {len(data)}; list them in a study file"
                )
        tasks = [{"source": source, **columns} for source in data]
        return from_options({"tasks": tasks, **study_options(given)}), None
    if len(data) > 1:
        raise HoldfastError(f"{', '.join(data)}: a study file stands alone; list the tasks in it")
    if columns:
        raise HoldfastError(f"--{next(iter(columns)).replace('_', '-')} says how to read DATA; put it into {data[0]}")
    path = Path(data[0])
    return read_study(path, study_options(given)), path


def default_out(study_file: Path | None, tasks: Sequence[str]) -> Path:
    """Return where results go by default: the folder that a study file was written to, else one by name."""
    if study_file is None:
        return Path("holdfast-runs", "-".join(map(folder_name, tasks))[:100])
    if study_file.with_name("tasks.json").exists():
        return study_file.parent
    return Path("holdfast-runs", study_file.stem)


def study_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``StudyFile`` that a command's parameters set; parameters not given are None or False."""
    options = {name: given[name] for name in StudyFile.model_fields if _set(given.get(name))}
    encoder = options.get("seq2seq_from_encoder")
    if isinstance(encoder, str):
        if "model" in options:
            raise HoldfastError(f"--model and --seq2seq-from-encoder {encoder}: both name a model; give one of them")
        options |= {"model": encoder, "seq2seq_from_encoder": True}
    elif "model" in options:
        # One takes the place of the other, also of one in a study file.
        options["seq2seq_from_encoder"] = False
    settings = {name: given[name] for name in TrainingSettings.model_fields if _set(given.get(name))}
    return {**options, "settings": settings} if settings else options


def task_spec(source: str, given: Mapping[str, Any]) -> TaskSpec:
    """Return the task that a command's parameters describe. Raises ``HoldfastError`` for values that do not fit."""
    return from_options({"tasks": [{"source": source, **task_options(given)}]}).tasks[0]


def task_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of ``TaskSpec``, apart from its source, that a command's parameters set."""
    values: dict[str, Any] = {name: given.get(name) for name in TaskSpec.model_fields if _set(given.get(name))}
    if "read" in values:
        values["read"] = read_pairs(values["read"])
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Return ``["header=no"]`` of ``--read`` as a dict.

    Raises ``HoldfastError`` for another form, and for a key given twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value:
            raise HoldfastError(f"--read {text!r}: give a key and a value, such as header=no")
        if key.strip() in pairs:
            raise HoldfastError(f"--read {key.strip()} is given twice; keep one")
        pairs[key.strip()] = value
    return pairs


def task_names(text: str, option: str) -> list[str]:
    """Return the tasks that ``option`` lists, separated by commas. Raises ``HoldfastError`` where one has no name."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise HoldfastError(f"{option} {text!r}: a name is missing; separate tasks by single commas")
    return names


def number_list(text: str | int | None, option: str, of: str) -> int | list[int] | None:
    """Return ``"5"`` as a number and ``"0,3,8"`` as a list of numbers; ``of`` says of what, for messages."""
    if text is None or isinstance(text, int):
        return text
    try:
        # "42," is seed 42 alone, where "42" is 42 seeds.
        return [int(part) for part in text.removesuffix(",").split(",")] if "," in text else int(text)
    except ValueError:
        raise HoldfastError(
            f"{option}: {text!r} is neither a number of {of}, such as 5, nor a list, such as {_LISTS[of]}"
        ) from None


_LISTS = {"seeds": "0,3,8", "rows": "100,300,1000"}


def _set(value: Any) -> bool:
    return value is not None and value is not False and value not in ([], ())

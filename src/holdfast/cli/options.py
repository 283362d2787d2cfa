"""The options that commands share."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from holdfast.records.run import ProbeSettings, TrainingSettings
from holdfast.records.task import Kind as TaskKind
from holdfast.records.task import TaskSpec
from holdfast.study.define.study_file import StudyFile

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
NoReferences = Annotated[
    bool,
    flag(
        "--no-references", "Leave out what stands beside the methods: TF-IDF and frozen embeddings, which take seconds."
    ),
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
Workers = Annotated[int | None, option("Runs at a time, each in a worker process; 0: in this process. Default: 1.")]
Threads = Annotated[int | None, option("CPU threads of a run. Default: the cores shared by the workers.")]
AllThreads = Annotated[int | None, option("CPU threads. Default: all cores.")]
DryRun = Annotated[bool, flag("--dry-run", "Show the runs and roughly how long they take, then stop.")]
RetryFailed = Annotated[bool, flag("--retry-failed", "Do runs again that stopped with an error.")]
Text = Annotated[str | None, option("Column with the text. Default: guessed where there is one possible reading.")]
TextPair = Annotated[str | None, option("Column with the second text of a pair.")]
Label = Annotated[str | None, option("Column with the label. Default: guessed, like --text.")]
Kind = Annotated[
    TaskKind | None,
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

Epochs = Annotated[
    float | None,
    option("Passes over the training rows. Default: 10, but at least 200 and at most 2,000 optimizer steps."),
]
ValidationSize = Annotated[
    int | None,
    option("Validation rows that checkpoints are chosen by, at most. Default: half as many as training rows."),
]
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
GroupByLength = Annotated[
    bool, flag("--group-by-length", "Make batches of rows of about the same length, with less padding.")
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
    "validation_size": ValidationSize,
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
ARITHMETIC: dict[str, Any] = {
    "precision": Precision,
    "activation_checkpointing": ActivationCheckpointing,
    "group_by_length": GroupByLength,
}
"""In what arithmetic, with what memory, and with how much padding."""
RUNS: dict[str, Any] = {"workers": Workers, "threads": Threads, "dry_run": DryRun, "retry_failed": RetryFailed}
"""Where the runs of a study happen, and which."""
TRUST: dict[str, Any] = {"remote_code": RemoteCode, "pickled_weights": PickledWeights}
"""What may run code."""

_FLAGS = ("activation_checkpointing", "group_by_length", "dry_run", "retry_failed", "remote_code", "pickled_weights")


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

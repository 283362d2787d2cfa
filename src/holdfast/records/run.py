"""What one run is (RunSpec) and what came of it (RunRecord)."""

import hashlib
import json
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from holdfast.records.model_source import ModelSource
from holdfast.records.task import TaskSpec

_EPOCHS, _STEPS, _EVALUATIONS = 10, (200, 2000), 10


class TrainingSettings(BaseModel):
    """How a run trains, apart from the method."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: float | None = Field(default=None, gt=0)
    """Passes over the training rows; None: 10, but at least 200 and at most 2,000 optimizer steps."""
    max_steps: int | None = Field(default=None, gt=0)
    """Optimizer steps; overrides ``epochs``."""
    batch_size: int = Field(default=16, gt=0)
    """Rows in one forward pass of the clean batch, per process."""
    eval_batch_size: int = Field(default=64, gt=0)
    accumulation: int = Field(default=1, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0)
    """Share of the steps when below 1, else a number of steps."""
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    max_grad_norm: float = Field(default=1.0, ge=0)
    """0 switches clipping off."""
    adam_beta2: float = Field(default=0.999, gt=0, lt=1)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    max_length: int = Field(default=128, gt=0)
    """Tokens kept of a text or pair."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each label that is spread over all classes, or all tokens, alike."""
    max_target_length: int = Field(default=64, gt=1)
    """Tokens kept of a text to write, and written at most."""
    num_beams: int = Field(default=1, gt=0)
    """Texts that the search for the likeliest text to write keeps in view; 1 takes the likeliest token each time."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    activation_checkpointing: bool = False
    validation_size: int | None = Field(default=None, gt=0)
    """Validation rows that a checkpoint is chosen by, at most; None: half as many as there are training rows."""
    group_by_length: bool = False
    """Whether a batch has rows of about the same length, with less padding; ``data_seed`` decides the order still."""

    def total_steps(self, rows: int) -> int:
        """Return the optimizer steps of a run on ``rows`` training rows, in one process."""
        if self.max_steps is not None:
            return self.max_steps
        if self.epochs is None:
            return min(max(_EPOCHS * self.pass_steps(rows), _STEPS[0]), _STEPS[1])
        return math.ceil(self.epochs * self.pass_steps(rows))

    def evaluation_steps(self, rows: int) -> int:
        """Return after how many optimizer steps a run that keeps its best checkpoint scores the next.

        Ten a run, of which those in the warm-up are left out.
        """
        return math.ceil(self.total_steps(rows) / _EVALUATIONS)

    def selection_rows(self, train_rows: int, validation_rows: int) -> int:
        """Return how many of the validation rows choose the checkpoint."""
        return min(validation_rows, self.validation_size or max(1, train_rows // 2))

    def pass_steps(self, rows: int) -> int:
        """Return the optimizer steps of one pass over ``rows`` rows, in one process."""
        return math.ceil(math.ceil(rows / self.batch_size) / self.accumulation)


class Perturbation(BaseModel):
    """A training set that lacks some of its rows, drawn at random after ``train_size``'s."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    remove: float = Field(default=0.1, gt=0, lt=1)
    """Share of the rows."""
    seed: int
    """Which rows; the same for every method."""


class ProbeSettings(BaseModel):
    """How linear probes of a frozen model are trained and scored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rows: int | None = Field(default=None, gt=0)
    """Training rows a probe learns from, drawn stratified, with the probed tasks' ``scored_rows`` rows to score."""
    seeds: int = Field(default=3, gt=0)
    """Probes, which differ in the training rows held out to choose the regularisation by."""
    layer: int = -1
    """Hidden layer, 0 the embeddings; negative ones count from the last."""
    pooling: Literal["auto", "cls", "mean", "last"] = "auto"
    """Tokens that make a row's features; ``auto`` takes what the model's own classification head reads."""


class OtherTask(BaseModel):
    """A task that a run is scored on beside its own: by a probe, or as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: TaskSpec
    data: str
    """Fingerprint of the loaded task."""
    labels: tuple[tuple[str, str], ...] = ()
    """``OodSpec.labels``; probes have none."""


SCHEMA = 4
"""Version of what ``RunSpec.id`` hashes: raised with every change of the fields, of their defaults or their meaning."""

Role = Literal["compared", "search", "perturbed", "reference"]
"""What a study does a run for: to compare methods, to choose settings, to see what other training rows would have
given, or to have something to hold the others against."""


Reference = Literal["tfidf", "embeddings"]
"""What a reference that takes seconds is fitted on: TF-IDF of the words, or the pre-trained model's own states."""

REFERENCE_NAMES: dict[Reference, str] = {"tfidf": "TF-IDF", "embeddings": "frozen embeddings"}
"""What references are called in sentences."""


def _role_of(fields: dict[str, Any]) -> Role:
    if not fields.get("method"):
        return "reference"
    return "perturbed" if fields.get("perturb") else "compared"


DatasetKey = tuple[str, int | None]
"""The source of a task and the training rows asked for."""


class RunSpec(BaseModel):
    """One run: model x task x method x seeds x settings. The hash of what it computes is its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    revision: str | None = None
    task: TaskSpec
    data: str
    """Fingerprint of the loaded task (``Task.fingerprint``)."""
    method: str
    """Canonical text of the methods, as ``holdfast.methods.describe`` writes it; empty where nothing is trained."""
    train_size: int | None = Field(default=None, gt=0)
    """Rows drawn from the training split; None keeps all."""
    seed: int
    """Head initialisation, dropout, the method's own noise."""
    data_seed: int
    """Order of the training rows."""
    subset_seed: int = 0
    """Which rows ``train_size`` draws."""
    settings: TrainingSettings = TrainingSettings()
    remote_code: bool = False
    pickled_weights: bool = False
    seq2seq_from_encoder: bool = False
    """``model`` is an encoder, of which encoder and decoder are made."""
    perturb: Perturbation | None = None
    after: str | None = None
    """Id of the run of the same study whose tuned body this one starts from, with a new head; None: ``model``'s."""
    ood: tuple[OtherTask, ...] = ()
    """Tasks that the tuned model is scored on as it is."""
    probed: tuple[OtherTask, ...] = ()
    """Tasks that linear probes of the tuned model's body are trained and scored on."""
    probe: ProbeSettings | None = None
    """Set where ``probed`` has tasks."""
    monitor: int | None = Field(default=None, gt=0)
    """Optimizer steps between looks at the representation during training; None: none."""
    reference: Reference | None = None
    """Set where a linear model of frozen features is fitted, and nothing is tuned."""
    role: Role = Field(default_factory=_role_of)
    """No part of the identity. By default what the other fields suggest, which is never ``search``."""

    @property
    def source(self) -> ModelSource:
        """The model, and what may be done to load it."""
        return ModelSource(self.model, self.revision, self.remote_code, self.pickled_weights)

    @property
    def dataset_key(self) -> DatasetKey:
        """What runs that are compared share."""
        return self.task.source, self.train_size

    @property
    def untrained(self) -> bool:
        """Whether no model is tuned: it is probed as it is, or a reference is fitted, to see the others against."""
        return not self.method

    @property
    def id(self) -> str:
        """First 16 hex digits of the SHA-256 of the canonical JSON of ``SCHEMA`` and of all fields but ``role``."""
        fields = {"schema": SCHEMA, **self.model_dump(mode="json", exclude={"role"})}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Checkpoint(BaseModel):
    """Scores of one evaluation during training."""

    step: int
    epoch: float
    metrics: dict[str, float | None]


class LayerMeasures(BaseModel):
    """One hidden layer after tuning and, as ``*_start``, before, on the same rows and without labels.

    None where the layer is the same for every row, as embeddings of the first token are, or is not finite.
    """

    model_config = ConfigDict(extra="forbid")

    layer: int
    """Its place among those measured, from 0 on: of all hidden layers 0 is the embeddings."""
    cka: float | None
    """Linear CKA of after and before."""
    effective_rank: float | None
    effective_rank_start: float | None
    participation_ratio: float | None
    participation_ratio_start: float | None
    mean_cosine: float | None
    """Also None where a row is zero."""
    mean_cosine_start: float | None


class LayerState(LayerMeasures):
    """One hidden layer of a tuned model against the pre-trained one, on the kept rows of the scored split."""

    weight_distance: float | None
    """Euclidean distance of the block's weights from the pre-trained ones."""


class Monitored(BaseModel):
    """The last hidden layer at one step of training, on the monitor's fixed rows."""

    model_config = ConfigDict(extra="forbid")

    step: int
    """Optimizer steps done."""
    cka: float | None
    effective_rank: float | None
    participation_ratio: float | None
    mean_cosine: float | None
    distance: float | None
    """Euclidean distance of the body's weights from the pre-trained ones."""


class ProbeScore(BaseModel):
    """What linear probes of the tuned model's frozen body score on one task."""

    model_config = ConfigDict(extra="forbid")

    metric: str
    """The probed task's primary one."""
    scores: list[float | None]
    """One a probe seed, on the metric's own scale."""
    strengths: list[float]
    """Regularisation that each chose."""
    layer: int
    """Layer that was read, counted from 0, the embeddings."""
    seconds: float
    """Wall time of features and probes."""


WRITERS = ("Seq2Seq", "EncoderDecoder", "CausalLM")
"""``RunRecord.form`` of models that write texts."""


class RunRecord(BaseModel):
    """What came of a run. Written once, when the run ends, whether it trained or stopped with an error."""

    model_config = ConfigDict(extra="forbid")

    id: str
    spec: RunSpec
    status: Literal["finished", "error"]
    error: str | None = None
    """One line, for ``status == "error"``; the traceback is in ``error.txt`` beside the record."""
    form: str = ""
    """Class of ``holdfast.training.task_models`` that made the model; empty where none was made."""
    task_name: str = ""
    scored_split: str = ""
    """The split that ``metrics`` come from; it selected nothing."""
    metrics: dict[str, float | None] = {}
    """Scores on the scored split, on the metric's own scale (accuracy in 0..1); None where undefined."""
    primary: str = ""
    """Name of the task's first metric."""
    selection_score: float | None = None
    """Primary metric on the split that may select models (validation)."""
    constant_scores: dict[str, float] = {}
    """What the best constant prediction scores, per metric, on the scored split."""
    dominant_share: float | None = None
    """Largest share of the scored rows predicted as one class; None where no classes are predicted.
    For texts, of the rows for which the same text was written."""
    diverged: bool = False
    """A loss or an output was not finite; fp16 steps skipped for an overflow do not count."""
    extra_metrics: dict[str, dict[str, float | None]] = {}
    """Scores on further labelled splits, such as ``ood``, and on the tasks of ``RunSpec.ood``, by name."""
    probes: dict[str, ProbeScore] = {}
    """By the name of the probed task."""
    layers: list[LayerState] = []
    """From the embeddings to the last; empty where the model gives no states."""
    monitored: list[Monitored] = []
    """What the monitor saw, from step 0 on."""
    losses: list[dict[str, float]] = []
    """Logged training terms: ``step``, ``loss``, ``loss/task``, one ``loss/<method>`` each."""
    evaluations: list[Checkpoint] = []
    facts: dict[str, float] = {}
    """What methods told about the training (``MethodSession.finish``), by ``<method>/<name>``; of a reference
    ``folds`` and ``strength``, as in ``ReferenceRow``."""
    chosen_step: int | None = None
    """Step of the checkpoint that was scored."""
    steps: int = 0
    learning_rate: float | None = None
    """What it trained with; some methods scale that of the settings."""
    train_rows: int = 0
    scored_rows: int = 0
    truncated: dict[str, int] = {}
    """Rows per split cut to ``max_length``."""
    parameters: int = 0
    distance: float | None = None
    """Euclidean distance of the tuned body, without the head, from the pre-trained one; None where it is not known."""
    start_distance: float | None = None
    """The same from where the task's own training began, which training done before it may have moved."""
    seconds: float = 0.0
    """Wall time of the whole run."""
    train_seconds: float = 0.0
    """Wall time of training without evaluation and saving; with what methods do before the first step."""
    phases: dict[str, float] = {}
    """Wall time by what it went to: ``loading``, ``encoding``, ``training`` with evaluation and saving in it,
    ``scoring``, ``comparing`` with the pre-trained model, ``saving``."""
    peak_memory_bytes: int | None = None
    """Peak accelerator memory; None on CPU."""
    device: str = ""
    threads: int = 0
    versions: dict[str, str] = {}
    started: str = ""
    """UTC, ISO 8601."""

    def points(self, metric: str) -> float | None:
        """Return a score on the scored split in points; None where it is undefined or not finite."""
        value = self.metrics.get(metric)
        return None if value is None or not math.isfinite(value) else 100 * value

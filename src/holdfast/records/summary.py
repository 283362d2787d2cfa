"""The documented schema of ``summary.json``: what a study found.

Scores are in points: the metric times 100 (accuracy 0.871 is 87.1 points). Differences are method minus
baseline. A field is null where it does not exist: no interval below two runs, none for the baseline itself.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from holdfast.records.run import LayerState, Reference

Verdict = Literal["baseline", "better", "worse", "practically equal", "cannot be told apart", "too few runs"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Row(_Model):
    """One method on one task, compared with the baseline on the same task."""

    task: str
    method: str
    n: int
    """Runs that ended, failed ones included."""
    failed: int
    """Runs that trained but are useless (see ``study.failures``)."""
    failed_low: float | None = None
    """Wilson interval for the share of runs that fail; null without runs."""
    failed_high: float | None = None
    missing: int
    """Runs of the grid without a result: stopped with an error, or never started."""
    mean: float | None
    """Mean over all ended runs, failed ones included."""
    std: float | None
    """Standard deviation over the same runs (n - 1 in the denominator)."""
    worst: float | None
    best: float | None
    trained_mean: float | None
    """Mean over the runs that did not fail."""
    difference: float | None
    """Mean minus the baseline's mean, failures counted."""
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_adjusted: float | None
    """After Holm over this summary's comparisons with the baseline."""
    trained_difference: float | None
    """Difference among runs that trained; only when a run of the pair failed."""
    trained_ci_low: float | None
    trained_ci_high: float | None
    win_probability: float | None
    """Share of run pairs in which the method is ahead of the baseline, ties counted half."""
    win_low: float | None
    win_high: float | None
    verdict: Verdict
    seconds: float | None
    """Median training time of a run."""
    cost_ratio: float | None
    """``seconds`` over the baseline's."""
    scores: list[float | None]
    """Score of each seed in the order of ``Settings.seeds``; null where missing."""
    failed_seeds: list[int]


class ReferenceRow(_Model):
    """A linear model that takes seconds, fitted on the training rows of one task; it has no seed, and no verdict."""

    task: str
    reference: Reference
    """``tfidf``: words and pairs of words; ``embeddings``: the mean of the pre-trained model's last layer."""
    score: float | None
    """Points of the task's metric; null where it is undefined, or the reference could not be fitted."""
    metrics: dict[str, float | None]
    """Points, by metric of the task."""
    strength: float | None
    """scikit-learn's ``C``, for regression ``alpha``; null where there was nothing to learn."""
    folds: int
    """Of the cross-validation that chose it; 0 where none did."""
    seconds: float
    note: str
    """Why it is otherwise than usual, or is missing; empty where nothing is to be said."""


class MetricRow(_Model):
    """One method on one metric of a task that is not the one compared, in points."""

    task: str
    metric: str
    method: str
    n: int
    mean: float | None
    std: float | None
    scores: list[float | None]
    """By seed, in the order of ``Settings.seeds``; null where missing or undefined."""


class LayerInstability(_Model):
    """How far the representations of the same rows lie apart in one layer, the mean over pairs of runs."""

    layer: int
    """0 is the embeddings."""
    runs: int
    """Runs whose states are finite and not the same for every row."""
    cka: float | None
    """1 - linear CKA; null below two such runs, as the next two. At a first token the embeddings never differ."""
    svcca: float | None
    procrustes: float | None


class Instability(_Model):
    """What the runs of one method on one task differ in: run-to-run variance at three granularities."""

    runs: int
    """Runs that ended, failed ones included."""
    score_std: float | None
    """Points, n - 1 in the denominator; null below two runs."""
    score_range: float
    """Points between the best and the worst run."""
    failed_share: float
    predicted_runs: int
    """Runs that the next three are over: those whose outputs are finite; 0 for regression."""
    disagreement: float | None
    """Share of rows that two runs put into different classes, the mean over pairs; null below two such runs."""
    js: float | None
    """Jensen-Shannon divergence of two runs' predictions in nats, the mean over rows and pairs."""
    kappa_distance: float | None
    """1 - Fleiss' kappa with the runs as raters."""
    layers: list[LayerInstability]
    """From the embeddings to the last; empty where fewer than two runs kept hidden states."""
    distance: float | None
    """Mean Euclidean distance of the body's weights from the pre-trained ones, over the runs that know theirs."""
    distance_start: float | None
    """Mean distance from the weights at which training on the task began: differs where a stage went before."""


class _Varied(_Model):
    task: str
    method: str
    varied: Literal["seed", "data"]
    """What differs between the runs: the seeds of the study, or, with ``perturb``, only the training rows."""


class InstabilityRow(Instability, _Varied):
    """What the runs of one method on one task differ in, two runs or more."""


class Target(_Model):
    """Something else that the models tuned on a task are scored on."""

    name: str
    kind: Literal["ood", "probe"]
    """``ood``: the tuned model as it is, on other data; ``probe``: linear probes of its frozen body, on any task."""
    metric: str
    rows: int
    """Scored rows."""
    constant_score: float
    """Points of the best constant prediction."""
    split: str
    notes: list[str] = []
    """How classes were mapped, how many rows also stand in the training data."""
    members: list[str] = []
    """Names of the targets whose mean this one is; of those that models are scored on it is empty."""


class TransferRow(_Model):
    """One method on one target, compared with the baseline; scores in points, as in ``Row``.

    Several probe seeds of a run count as one score, their mean.
    """

    task: str
    """What was trained on."""
    target: str
    kind: Literal["ood", "probe"]
    method: str
    n: int
    mean: float | None
    std: float | None
    worst: float | None
    reference: float | None
    """The pre-trained model's own score under the same probes; null for ``ood``."""
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_adjusted: float | None
    """After Holm over this summary's comparisons of the same kind."""
    verdict: Verdict
    scores: list[float | None]
    """By seed, in the order of ``Settings.seeds``; null where missing."""


class Representation(LayerState):
    """One layer of a method's tuned models against the pre-trained one: means over the runs for which it is defined."""

    task: str
    method: str
    runs: int


class TaskInfo(_Model):
    """What was trained and scored on, once a task."""

    task: str
    metric: str
    kind: str
    train_rows: int
    scored_split: str
    scored_rows: int
    selection: str
    """How the scored checkpoint of a run was chosen, in words."""
    constant_score: float
    """Points of the best constant prediction."""
    labels: list[str]
    notes: list[str]
    warnings: list[str]
    base: str = ""
    """The task's name without its training rows, which ``task`` names where a study has several sizes."""
    targets: list[Target] = []


class Overall(_Model):
    """A method's mean difference over all tasks: "on these tasks", not "on tasks like these"."""

    method: str
    difference: float
    ci_low: float
    ci_high: float
    tasks: int
    """Tasks with at least two runs of both methods."""
    normalised: bool = False
    """True when metrics of different scales were mixed: every task then counts in percent of the way from its
    best constant prediction to a perfect score, else in points."""


class Best(_Model):
    """The model in ``best/``."""

    task: str
    run: str
    method: str
    seed: int
    selection_score: float
    """Points on the selection split."""
    score: float | None
    """Points on the scored split."""
    optimistic: bool
    """True when the selection split is the scored split, so the score chose the model."""
    path: str


class Settings(_Model):
    """What the summary was computed with."""

    model: str
    methods: list[str]
    baseline: str
    tasks: list[str]
    seeds: list[int]
    delta: float
    """Smallest difference that matters, in points, set before the runs."""
    alpha: float
    """Significance level of an analysis (0.025 in a declared two-stage study)."""
    training: dict[str, Any]
    train_size: int | list[int] | None


class PublishedRow(_Model):
    """One number of a paper beside the one that was measured, in points."""

    place: str
    """What was scored: the task, one that its models are scored on as they are, or a mean over such."""
    method: str
    called: str
    """What the paper calls the method; empty where it is the same."""
    metric: str
    statistic: Literal["best", "median", "mean", "unstated"]
    """What the paper made of its runs, and what is made of the measured ones; the mean where it is not told."""
    published: float
    published_runs: int | None
    """Null where the paper does not tell."""
    measured: float | None
    n: int
    """Runs with this score."""
    difference: float | None
    """Measured minus published; null in a smoke run."""


class Reproduction(_Model):
    """What a study that follows a recipe is to be seen beside."""

    recipe: str
    title: str
    """Of the paper."""
    arxiv: str
    table: str
    smoke: bool
    """A tiny random model was trained on generated text: nothing is comparable."""
    rows: list[PublishedRow]
    """Empty where none of the paper's results was verified."""
    unverified: dict[str, str]
    """Keys of the recipe that were not read in the paper, and why they are as they are."""
    differs: list[str]
    """What is known to be otherwise here than in the paper or its code."""
    changed: list[str]
    """What this study has otherwise than its recipe."""


class Summary(_Model):
    """The whole of ``summary.json``."""

    schema_version: Literal[1] = 1
    holdfast: str
    settings: Settings
    tasks: list[TaskInfo]
    results: list[Row]
    overall: list[Overall]
    sentences: list[str]
    """Verdicts in words, one a comparison, then notes on what they rest on."""
    errors: list[dict[str, str]]
    """Runs stopped with an error: ``run``, ``task``, ``method``, ``seed``, ``error``."""
    best: list[Best]
    looks: int
    """How many times results of this study with differing run counts were looked at."""
    luck: list[InstabilityRow] = []
    """By task and method, with at least two runs."""
    transfer: list[TransferRow] = []
    """By task, target and method: out-of-domain scores and linear probes."""
    transfer_sentences: list[str] = []
    """Verdicts on these in words; each kind is a family of comparisons of its own."""
    representations: list[Representation] = []
    """By task, method and layer."""
    metrics: list[MetricRow] = []
    """By task, metric and method; the primary metric's are ``results``."""
    references: list[ReferenceRow] = []
    """By task: what models score that take seconds to fit."""
    reproduction: Reproduction | None = None
    """For a study that follows a recipe."""


class Stage(_Model):
    """One place in a sequence of tasks that one model is tuned on in turn."""

    number: int
    """From 1 on."""
    cycle: int
    """From 1 on; 1 throughout a chain."""
    task: str
    metric: str
    train_rows: int
    scored_split: str
    scored_rows: int
    constant_score: float
    """Points."""


class StageRow(_Model):
    """One method at one stage: its own score after it, over the seeds, in points."""

    stage: int
    method: str
    n: int
    mean: float | None
    std: float | None
    scores: list[float | None]


class ProbeRow(_Model):
    """What linear probes of one method's models say of a task after so many stages, in points."""

    stage: int
    """Stages done when the probe was taken; 0 is the pre-trained model, before any."""
    cycle: int
    """For ``cycles``: the cycle whose turn of the task comes next; 1 throughout a chain."""
    target: str
    """The probed task."""
    method: str
    """Empty at stage 0, whose one row a task all methods share."""
    n: int
    mean: float | None
    std: float | None
    difference: float | None
    """Minus the baseline's mean at the same place; null for the baseline and at stage 0."""
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    p_adjusted: float | None
    """After Holm over the study's comparisons."""
    verdict: Verdict | None
    """None at stage 0, where there is nothing to compare."""
    scores: list[float | None]


class SequenceSummary(_Model):
    """The whole of ``summary.json`` of a study in which models are tuned on several tasks in turn."""

    schema_version: Literal[1] = 1
    protocol: Literal["chain", "cycles"]
    holdfast: str
    settings: Settings
    stages: list[Stage]
    results: list[StageRow]
    probes: list[ProbeRow]
    sentences: list[str]
    choices: list[str]
    """The protocol's open choices as they were made here, a sentence each."""
    warnings: list[str]
    errors: list[dict[str, str]]

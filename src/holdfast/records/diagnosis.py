"""What is measured of one task and model, and how it is read."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from holdfast.records.run import TrainingSettings

Lever = Literal["rows", "centres", "rate", "steps", "heads"]
"""What is changed, one thing at a time: half the rows, class centres twice as far apart, half the learning rate,
twice the steps, 10 heads in place of 1."""
Measure = Literal["leave_one_out", "seed_spread"]
LimitVerdict = Literal["limits", "does not limit", "cannot be judged"]

_STRICT = ConfigDict(frozen=True, extra="forbid")


class PairMargin(BaseModel):
    """How far apart two classes are in the pre-trained features."""

    model_config = _STRICT

    first: str
    second: str
    rows: int
    margin: float | None
    """Hard margin, in feature units, with the constant for the bias appended; None where nothing separates them."""
    shuffled: float | None
    """The same with labels dealt out at random, mean of three; None where those do not separate."""
    soft_errors: float | None
    """Where nothing separates them: the share of rows that a soft margin gets wrong."""


class Features(BaseModel):
    """What the head's last linear layer is fed by the pre-trained model, in evaluation mode."""

    model_config = _STRICT

    n: int
    classes: dict[str, int]
    """Rows by class."""
    width: int
    feature_norm: float
    """B: the largest norm of a row, with the constant for the bias appended."""
    lower_layers: int
    """Linear layers of the head that stand before the last; few checkpoints bring them, else they are drawn anew."""
    pairs: tuple[PairMargin, ...]

    @property
    def margin(self) -> float | None:
        """The smallest margin of a pair, or None where a pair overlaps."""
        margins = [pair.margin for pair in self.pairs if pair.margin is not None]
        return min(margins) if len(margins) == len(self.pairs) else None


class HeadResult(BaseModel):
    """How stable one head tuning is."""

    model_config = _STRICT

    n: int
    steps: int
    learning_rate: float
    """Of full-batch gradient descent."""
    heads: int
    leave_one_out: float
    """Mean over the rows left out of the distance between normalised heads with and without the row, 0 to 2."""
    flips: float
    """Share of the rows left out that get another class when they are."""
    accuracy: float
    """Share of the rows left out that is right when they are."""
    seed_spread: float
    """Standard deviation of the normalised head over initialisations."""
    disagreement: float
    """Share of training rows that two initialisations put into different classes."""


class HeadTuning(BaseModel):
    """Head tuning as given, and with one thing changed at a time."""

    model_config = _STRICT

    given: HeadResult
    changed: dict[Lever, HeadResult]
    left_out: int
    """Rows left out at most, one training each; the number of rows where all of them were."""

    def gain(self, lever: Lever, measure: Measure) -> float | None:
        """Return what pulling ``lever`` leaves of ``measure``, as a share; None where it was not measured.

        More rows cannot be had: what the second half of them brought stands for doubling them.
        """
        other = self.changed.get(lever)
        if other is None:
            return None
        before, after = (other, self.given) if lever == "rows" else (self.given, other)
        low, high = float(getattr(after, measure)), float(getattr(before, measure))
        return low / high if high > 0 else None


class FullTuning(BaseModel):
    """What a few rows and a short plain tuning tell of tuning the whole model."""

    model_config = _STRICT

    rows: int
    """Rows of the fixed batch that gradients and losses come from."""
    curvature_rows: int
    """Of them, the rows that both curvatures come from."""
    learning_rate: float
    sharpness: float
    """Largest eigenvalue of the Hessian at the pre-trained weights, at or below the true one."""
    least_curvature: float
    """Least eigenvalue, at or above the true one."""
    gradient_start: float
    """Largest norm of a row's gradient at the pre-trained weights."""
    gradient_end: float
    """The same after the short tuning."""
    steps: int
    loss_start: float
    """Of the fixed batch, in evaluation mode."""
    loss_end: float
    loss_expanded: float
    """What the second-order expansion around the pre-trained weights says that ``loss_end`` is."""
    distance: float
    """From the pre-trained weights to those after the short tuning, the head included."""
    weight_norm: float
    """Of the pre-trained weights."""
    bound: float | None
    """On how far leaving a row out moves the weights within these steps, if the bound's assumptions held."""
    bound_name: Literal["full_tuning_bound", "convex_tuning_bound"] | None
    bound_notes: tuple[str, ...]
    """Why not the paper's bound, and what the number is worth."""

    @property
    def lipschitz(self) -> float:
        """L as far as these rows and both ends of the short tuning show it."""
        return max(self.gradient_start, self.gradient_end)


class Limit(BaseModel):
    """One thing that may limit stability, judged."""

    model_config = _STRICT

    name: str
    verdict: LimitVerdict
    evidence: tuple[str, ...]
    share: float | None = None
    """What the change that acts on it leaves of the measure that it lowers most; None where none was tried."""
    remedy: str
    """What acts on it, and what does not."""


class Diagnosis(BaseModel):
    """All of it; ``model_dump_json`` writes it and ``model_validate_json`` reads it."""

    model_config = _STRICT

    task: str
    model: str
    train_rows: int
    seed: int
    settings: TrainingSettings
    features: Features | None
    head: HeadTuning | None
    full: FullTuning | None
    limits: tuple[Limit, ...]
    sentences: tuple[str, ...]
    """The plain reading."""
    notes: tuple[str, ...]
    """What was left out, and why."""

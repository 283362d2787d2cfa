"""What probes of several checkpoints found, as ``holdfast probe --json`` writes it. All scores are in points."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from holdfast.errors import HoldfastError
from holdfast.records.run import ProbeScore

_STRICT = ConfigDict(frozen=True, extra="forbid")


class ProbedModel(BaseModel):
    """A model that was probed."""

    model_config = _STRICT

    name: str
    """Short, and of no other model."""
    source: str
    """Folder, hub id or short name, as it was given."""
    digest: str
    """SHA-256 of its weights, configuration and tokenizer."""


class ProbedOn(BaseModel):
    """A task that probes were trained and scored on."""

    model_config = _STRICT

    task: str
    metric: str
    train_rows: int
    scored_split: str
    scored_rows: int
    constant_score: float
    """Best constant prediction."""
    notes: list[str]
    warnings: list[str]


class LayerScore(BaseModel):
    """One layer of one model on one task."""

    model_config = _STRICT

    model: str
    task: str
    layer: int
    """From 0, the embeddings."""
    scores: list[float | None]
    """One a probe seed; None where undefined, or where features are not finite."""
    strengths: list[float]
    """Regularisation that each chose."""
    mean: float | None
    std: float | None
    """Over probe seeds, with n - 1; None for fewer than two scores."""
    difference: float | None
    """Of the means, to the pre-trained model's same layer; None for that model itself."""


class ProbeResults(BaseModel):
    """Probes of checkpoints and of the pre-trained model on the same rows."""

    model_config = _STRICT

    pretrained: ProbedModel
    checkpoints: list[ProbedModel]
    tasks: list[ProbedOn]
    pooling: str
    max_length: int
    seeds: int
    """Probe seeds."""
    scores: list[LayerScore]
    """Task by task, layer by layer, the pre-trained model first."""

    @property
    def models(self) -> list[ProbedModel]:
        """All models, the pre-trained one first."""
        return [self.pretrained, *self.checkpoints]

    def layers(self, task: str) -> list[int]:
        """Return the layers probed on ``task``, lowest first."""
        return sorted({score.layer for score in self.scores if score.task == task})

    def of(self, task: str, layer: int, model: str) -> LayerScore:
        """Return the scores of a layer."""
        return next(one for one in self.scores if (one.task, one.layer, one.model) == (task, layer, model))


def layer_score(model: str, task: str, probed: ProbeScore, start: LayerScore | None) -> LayerScore:
    """Return ``probed`` in points, and how far it is from ``start``, the pre-trained model's."""
    scores = [None if score is None else 100 * score for score in probed.scores]
    known = [score for score in scores if score is not None]
    # A mean over some of the seeds would be another quantity.
    mean = math.fsum(known) / len(known) if known and len(known) == len(scores) else None
    difference = None if start is None or mean is None or start.mean is None else mean - start.mean
    return LayerScore(
        model=model,
        task=task,
        layer=probed.layer,
        scores=scores,
        strengths=probed.strengths,
        mean=mean,
        std=statistics.stdev(known) if mean is not None and len(known) > 1 else None,
        difference=difference,
    )


def short_names(pretrained: str, checkpoints: Sequence[str]) -> list[str]:
    """Return names for all models, the pre-trained one first: the shortest ends of their paths that no other has.

    What all checkpoints end in, such as ``best``, is left out. Raises ``HoldfastError`` where one is given twice.
    """
    seen: dict[tuple[str, ...], str] = {_parts(pretrained): f"--pretrained {pretrained}"}
    for checkpoint in checkpoints:
        parts = _parts(checkpoint)
        if parts in seen:
            raise HoldfastError(f"{checkpoint}: this is {seen[parts]} again; name each model once")
        seen[parts] = checkpoint
    first, *rest = seen
    while len(rest) > 1 and len({parts[-1] for parts in rest}) == 1 and all(len(parts) > 1 for parts in rest):
        shorter = [parts[:-1] for parts in rest]
        if first in shorter:
            # A checkpoint inside the pre-trained model's folder would take its name.
            break
        rest = shorter
    paths = [first, *rest]
    return [_end(parts, [*paths[:place], *paths[place + 1 :]]) for place, parts in enumerate(paths)]


def _end(parts: tuple[str, ...], others: list[tuple[str, ...]]) -> str:
    for length in range(1, len(parts)):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return "/".join(parts).replace("//", "/")


def _parts(model: str) -> tuple[str, ...]:
    folder = Path(model).expanduser()
    return folder.resolve().parts if folder.exists() else tuple(model.split("/"))

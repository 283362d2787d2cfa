"""Run records as a finished study would hold them."""

from collections.abc import Sequence
from typing import Any

from holdfast.records.run import RunRecord, RunSpec
from holdfast.records.task import TaskSpec


def run_spec(task: str = "rte", method: str = "vanilla", seed: int = 0, **changes: Any) -> RunSpec:
    fields: dict[str, Any] = {"model": "tiny", "data": f"fingerprint of {task}", "data_seed": seed} | changes
    return RunSpec(task=TaskSpec(source=task), method=method, seed=seed, **fields)


def run_record(
    score: float | None = 0.7, task: str = "rte", method: str = "vanilla", seed: int = 0, **changes: Any
) -> RunRecord:
    """A run that trained: accuracy on 1,000 test rows of two equal classes."""
    spec = changes.pop("spec", None) or run_spec(task, method, seed)
    metric = changes.get("primary", "accuracy")
    fields = {
        "status": "finished",
        "task_name": task,
        "scored_split": "test",
        "metrics": {metric: score},
        "primary": metric,
        "constant_scores": {"accuracy": 0.5} if metric == "accuracy" else {metric: 0.0},
        "dominant_share": 0.6,
        "scored_rows": 1000,
        "train_seconds": 10.0,
    }
    return RunRecord(id=spec.id, spec=spec, **(fields | changes))


def run_records(scores: Sequence[float | None], **common: Any) -> list[RunRecord]:
    """One run a score, with seeds 0, 1, 2."""
    return [run_record(score, seed=seed, **common) for seed, score in enumerate(scores)]

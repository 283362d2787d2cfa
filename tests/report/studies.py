"""Summaries and records made by hand, with statistics straight from SciPy."""

import statistics
from collections.abc import Sequence
from typing import Any

from scipy import stats

from holdfast.records.run import RunRecord, RunSpec
from holdfast.records.summary import InstabilityRow, LayerInstability, Row, Settings, Summary, TaskInfo
from holdfast.records.task import TaskSpec

CONSTANT = 52.7


def row(
    task: str,
    method: str,
    scores: Sequence[float | None],
    baseline: Sequence[float | None] | None = None,
    failed: Sequence[int] = (),
    verdict: str = "cannot be told apart",
    alpha: float = 0.05,
) -> Row:
    """A result with plain Welch statistics; ``baseline`` None makes it the baseline itself."""
    ended = [score for score in scores if score is not None]
    trained = [score for seed, score in enumerate(scores) if score is not None and seed not in failed]
    values: dict[str, Any] = dict.fromkeys(Row.model_fields)
    values |= {"task": task, "method": method, "n": len(ended), "failed": len(failed), "scores": list(scores)}
    values |= {"missing": len(scores) - len(ended), "failed_seeds": list(failed), "verdict": "baseline"}
    if ended:
        values |= {"mean": statistics.mean(ended), "worst": min(ended), "best": max(ended)}
        values |= {"std": statistics.stdev(ended) if len(ended) > 1 else None, "seconds": 63.0, "cost_ratio": 1.0}
        values["trained_mean"] = statistics.mean(trained) if trained else None
    others = [score for score in baseline or () if score is not None]
    if baseline is not None:
        values["verdict"] = verdict if min(len(ended), len(others)) > 2 else "too few runs"
        if ended:
            values["cost_ratio"] = 2.0
    if ended and others:
        pairs = [(a > b) + (a == b) / 2 for a in ended for b in others]
        values |= {"difference": values["mean"] - statistics.mean(others), "win_probability": statistics.mean(pairs)}
        values |= {"win_low": 0.1, "win_high": 0.95}
        if min(len(ended), len(others)) > 1:
            test = stats.ttest_ind(ended, others, equal_var=False)
            between = test.confidence_interval(1 - alpha)
            values |= {
                "ci_low": between.low,
                "ci_high": between.high,
                "p_value": test.pvalue,
                "p_adjusted": test.pvalue,
            }
        if failed and trained:
            gap = values["trained_mean"] - statistics.mean(others)
            values |= {"trained_difference": gap, "trained_ci_low": gap - 2.0, "trained_ci_high": gap + 2.0}
    return Row(**values)


def task(name: str = "rte", metric: str = "accuracy", **changes: Any) -> TaskInfo:
    values: dict[str, Any] = {
        "task": name,
        "metric": metric,
        "kind": "classification",
        "train_rows": 500,
        "scored_split": "test",
        "scored_rows": 277,
        "selection": "highest validation accuracy of 3 checkpoints",
        "constant_score": CONSTANT,
        "labels": ["entailment", "not_entailment"],
        "notes": [],
        "warnings": [],
    }
    return TaskInfo(**values | changes)


def instability(
    method: str, disagreement: float | None, varied: str = "seed", task: str = "rte", **changes: Any
) -> InstabilityRow:
    """A row of five runs; three layers, of which the first is the same for every row."""
    layers = [LayerInstability(layer=0, runs=0, cka=None, svcca=None, procrustes=None)]
    layers += [LayerInstability(layer=i, runs=5, cka=0.1 * i, svcca=0.02 * i, procrustes=0.04 * i) for i in (1, 2)]
    values: dict[str, Any] = {
        "task": task,
        "method": method,
        "varied": varied,
        "runs": 5,
        "score_std": 1.58,
        "score_range": 4.0,
        "failed_share": 0.2,
        "predicted_runs": 5,
        "disagreement": disagreement,
        "js": None if disagreement is None else 0.0123,
        "kappa_distance": None if disagreement is None else 2 * disagreement,
        "layers": layers,
        "distance": 2.345,
        "distance_start": 2.345,
    }
    return InstabilityRow(**values | changes)


def summary(rows: Sequence[Row], tasks: Sequence[TaskInfo], alpha: float = 0.05, **changes: Any) -> Summary:
    methods = list(dict.fromkeys(row.method for row in rows))
    settings = Settings(
        model="org/encoder",
        methods=methods,
        baseline=methods[0],
        tasks=[task.task for task in tasks],
        seeds=list(range(len(rows[0].scores))),
        delta=1.0,
        alpha=alpha,
        training={"epochs": 3.0, "batch_size": 16, "learning_rate": 5e-5},
        train_size=500,
    )
    values: dict[str, Any] = {
        "holdfast": "0.1.0",
        "settings": settings,
        "tasks": list(tasks),
        "results": list(rows),
        "overall": [],
        "sentences": ["r3f beats vanilla by 2.4 points.", "Over seeds only; same test set."],
        "errors": [],
        "best": [],
        "looks": 1,
    }
    return Summary(**values | changes)


def record(method: str, seed: int, name: str = "rte", steps: Sequence[int] = (10, 20, 30), **changes: Any) -> RunRecord:
    """A finished run; ``losses`` fall by hand: task loss 1/step, penalty 1/(100 step), shifted by the seed."""
    spec = RunSpec(
        model="org/encoder",
        task=TaskSpec(source=name),
        data="0" * 64,
        method=method,
        train_size=changes.pop("train_size", 500),
        seed=seed,
        data_seed=seed,
    )
    names = [part.split("(")[0] for part in method.split("+")]
    losses = []
    for step in steps:
        terms = {"loss/task": (1 + seed) / step}
        terms |= {f"loss/{part}": (1 + seed) / (100 * step) for part in names if part != "vanilla"}
        losses.append({"step": float(step), "loss": sum(terms.values()), **terms})
    values: dict[str, Any] = {
        "id": spec.id,
        "spec": spec,
        "status": "finished",
        "task_name": name,
        "scored_split": "test",
        "metrics": {"accuracy": 0.7112, "f1": None},
        "primary": "accuracy",
        "selection_score": 0.74,
        "dominant_share": 0.6,
        "losses": losses,
        "steps": 94,
        "train_rows": 500,
        "scored_rows": 277,
        "parameters": 22_713_986,
        "train_seconds": 63.0,
        "device": "cpu",
        "threads": 2,
        "versions": {"holdfast": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
        "started": "2026-01-02T03:04:05Z",
    }
    return RunRecord(**values | changes)


# The groups of the notes on statistics: their Welch interval is 0.354 to 4.446.
VANILLA = (66.0, 70.0, 68.0, 67.0, 69.0)
R3F = (70.0, 71.0, 69.0, 72.0, 70.0)
FAILING = (CONSTANT, 70.0, 71.0, 69.0, CONSTANT)

"""Summaries of chains and cycles made by hand."""

import statistics
from collections.abc import Sequence
from typing import Any

from holdfast.records.summary import ProbeRow, SequenceSummary, Settings, Stage, StageRow

METHODS = ("vanilla", "r4f")
TASKS = ("sst2", "qnli", "rte")


def probe(stage: int, method: str, scores: Sequence[float | None], target: str = "sst2", **changes: Any) -> ProbeRow:
    known = [score for score in scores if score is not None]
    values: dict[str, Any] = dict.fromkeys(ProbeRow.model_fields)
    values |= {"stage": stage, "cycle": 1, "target": target, "method": method, "n": len(known), "scores": list(scores)}
    values |= {"mean": statistics.mean(known) if known else None}
    values |= {"std": statistics.stdev(known) if len(known) > 1 else None}
    return ProbeRow(**values | changes)


def _summary(protocol: str, stages: list[Stage], **changes: Any) -> SequenceSummary:
    settings = Settings(
        model="org/encoder",
        methods=list(METHODS),
        baseline="vanilla",
        tasks=list(TASKS),
        seeds=[0, 1, 2],
        delta=1.0,
        alpha=0.05,
        training={"epochs": 3.0},
        train_size=500,
    )
    results = [
        StageRow(stage=stage.number, method=method, n=3, mean=70.0 + stage.number, std=1.0, scores=[70.0, 71.0, 72.0])
        for stage in stages
        for method in METHODS
    ]
    values: dict[str, Any] = {
        "protocol": protocol,
        "holdfast": "0.1.0",
        "settings": settings,
        "stages": stages,
        "results": results,
        "sentences": ["r4f beats vanilla on sst2 after rte by 6.0 points."],
        "choices": ["Every stage has a new head."],
        "warnings": ["rte: 3 texts of train are also in test"],
        "errors": [],
    }
    return SequenceSummary(**values | changes)


def stage(number: int, name: str, cycle: int = 1) -> Stage:
    return Stage(
        number=number,
        cycle=cycle,
        task=name,
        metric="accuracy",
        train_rows=500,
        scored_split="test",
        scored_rows=277,
        constant_score=50.9,
    )


def chain(**changes: Any) -> SequenceSummary:
    """Three tasks; vanilla falls from 85 by 4 a stage, r4f by 1."""
    probes = [probe(0, "", [80.2])]
    for done in (1, 2, 3):
        for method, fall, verdict in (("vanilla", 4, "baseline"), ("r4f", 1, "better")):
            middle = 89.0 - fall * done
            probes.append(probe(done, method, [middle - 1, middle, middle + 1], verdict=verdict))
    return _summary("chain", [stage(i, name) for i, name in enumerate(TASKS, 1)], **{"probes": probes, **changes})


def cycles(**changes: Any) -> SequenceSummary:
    """Two tasks, two cycles: sst2 is probed before any stage and after two, qnli after one and three."""
    stages = [stage(1, "sst2"), stage(2, "qnli"), stage(3, "sst2", 2), stage(4, "qnli", 2)]
    probes = [probe(0, "", [80.2]), probe(0, "", [70.4], "qnli")]
    for done, cycle, target, middle in ((1, 1, "qnli", 69.0), (2, 2, "sst2", 84.0), (3, 2, "qnli", 71.0)):
        for shift, method in enumerate(METHODS):
            scores = [middle + shift - 1, middle + shift, middle + shift + 1]
            verdict = "cannot be told apart" if shift else "baseline"
            probes.append(probe(done, method, scores, target, cycle=cycle, verdict=verdict))
    return _summary("cycles", stages, **{"probes": probes, **changes})

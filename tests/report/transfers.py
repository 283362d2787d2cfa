"""Summaries with other tasks, layers and sizes made by hand."""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.records.run import Monitored, RunRecord
from holdfast.records.summary import Representation, Summary, Target, TransferRow
from report.studies import R3F, VANILLA, record, row, summary, task

SCITAIL = Target(
    name="scitail",
    kind="ood",
    metric="accuracy",
    rows=300,
    constant_score=60.4,
    split="test",
    notes=["neutral counts as not_entailment"],
)
COLA = Target(name="cola", kind="probe", metric="matthews", rows=400, constant_score=0.0, split="validation")
SUBJ = Target(name="subj", kind="probe", metric="accuracy", rows=400, constant_score=50.0, split="test")


def transfer(
    target: Target, method: str, scores: Sequence[float | None], verdict: str = "baseline", **changes: Any
) -> TransferRow:
    """A row with plain mean and standard deviation."""
    known = [score for score in scores if score is not None]
    values: dict[str, Any] = dict.fromkeys(TransferRow.model_fields)
    values |= {"task": "rte", "target": target.name, "kind": target.kind, "method": method, "n": len(known)}
    values |= {"mean": statistics.mean(known) if known else None, "worst": min(known, default=None)}
    values |= {"std": statistics.stdev(known) if len(known) > 1 else None, "verdict": verdict, "scores": list(scores)}
    if target.kind == "probe":
        values["reference"] = {"cola": 31.5, "subj": 88.2}[target.name]
    return TransferRow(**values | changes)


def layers(method: str, cka: Sequence[float], task: str = "rte", **changes: Any) -> list[Representation]:
    """As many layers as values of CKA; ranks fall from 50 by 10 for each layer, from 60 at the start."""
    found = []
    for layer, value in enumerate(cka):
        values: dict[str, Any] = {"task": task, "method": method, "layer": layer, "runs": 5, "cka": value}
        values |= {"effective_rank": 50.0 - 10 * layer, "effective_rank_start": 60.0}
        values |= {"participation_ratio": 20.0 - 4 * layer, "participation_ratio_start": 25.0}
        values |= {"mean_cosine": 0.1 + 0.2 * layer, "mean_cosine_start": 0.1, "weight_distance": 0.5 * layer}
        found.append(Representation(**values | changes))
    return found


def transfers(names: Mapping[str, str] | None = None) -> Summary:
    """Two methods on one task, scored on three others, with three layers each."""
    methods = ("vanilla", "r4f")
    rows = [row("rte", methods[0], VANILLA), row("rte", methods[1], R3F, VANILLA, verdict="better")]
    found = [
        transfer(SCITAIL, "vanilla", (71.0, 73.0, 72.0, 70.0, 74.0)),
        transfer(SCITAIL, "r4f", (65.0, 66.0, 67.0, 65.5, 66.5), "worse"),
        transfer(COLA, "vanilla", (20.0, 24.0, 22.0, 21.0, 23.0)),
        transfer(COLA, "r4f", (30.0, 29.0, 31.0, 30.5, 29.5), "better"),
        transfer(SUBJ, "vanilla", (84.0, 85.0, 86.0, 84.5, 85.5)),
        transfer(SUBJ, "r4f", (84.0, 86.0, 86.0, 84.5, None), "cannot be told apart"),
    ]
    info = task(targets=[SCITAIL, COLA, SUBJ])
    states = layers("vanilla", (1.0, 0.8, 0.4)) + layers("r4f", (1.0, 0.9, 0.7))
    said = ["r4f on scitail falls short of vanilla by 6.0 points."]
    result = summary(rows, [info], transfer=found, representations=states, transfer_sentences=said)
    if names:
        text = result.model_dump_json()
        for old, new in names.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        return Summary.model_validate_json(text)
    return result


def sizes() -> Summary:
    """Two methods on 100 and 1000 rows of one task, scored out of domain; four scores differ by size and method."""
    rows, found, infos = [], [], []
    for size, scores in ((1000, (80.0, 82.0)), (100, (60.0, 64.0))):
        name = f"rte ({size} rows)"
        infos.append(task(name, base="rte", train_rows=size, targets=[SCITAIL]))
        groups = [[score - 1, score, score + 1] for score in scores]
        rows += [row(name, "vanilla", groups[0]), row(name, "r4f", groups[1], groups[0], verdict="better")]
        found += [transfer(SCITAIL, "vanilla", [score - 10 for score in groups[0]], task=name)]
        found += [transfer(SCITAIL, "r4f", [score - 10 for score in groups[1]], "better", task=name)]
    result = summary(rows, infos, transfer=found)
    result.settings.train_size = [1000, 100]
    return result


def watched(method: str, seed: int, shift: float = 0.0, **changes: Any) -> RunRecord:
    """A run looked at three times: CKA 1, 0.8, 0.6, less ``shift`` but for the first."""
    looks = [
        Monitored(
            step=step,
            cka=1.0 - step / 50 - (shift if step else 0),
            effective_rank=60.0 - step,
            participation_ratio=25.0,
            mean_cosine=0.1,
            distance=step / 10,
        )
        for step in (0, 10, 20)
    ]
    return record(method, seed, **{"monitored": looks, **changes})

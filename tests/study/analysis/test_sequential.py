"""Chains and cycles, from hand-made records."""

import pytest

from holdfast.records.run import ProbeScore, RunRecord
from holdfast.records.summary import Settings, TaskInfo
from holdfast.study.analysis.sequential import summarise_sequence
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.grid import build_grid, resolve_methods

TASKS = ["sst2", "rte"]


def info(name):
    values = {"metric": "accuracy", "kind": "classification", "train_rows": 50, "scored_split": "test", "labels": []}
    values |= {"scored_rows": 1000, "selection": "", "constant_score": 50.0, "notes": [], "warnings": [f"of {name}"]}
    return TaskInfo(task=name, base=name, **values)


def plan(**options):
    study = from_options({"tasks": TASKS, "methods": ["vanilla", "r4f"], "seeds": 3, **options})
    study = resolve_methods(study)
    return study, build_grid(study, {task: task.source for task in study.tasks})


def finished(spec, score, **probes):
    found = {
        name: ProbeScore(metric="accuracy", scores=[one, one], strengths=[], layer=1, seconds=0.0)
        for name, one in probes.items()
    }
    return RunRecord(id=spec.id, spec=spec, status="finished", metrics={"accuracy": score}, probes=found)


def summary(study, grid, records):
    settings = Settings(
        model="m",
        methods=study.methods,
        baseline="vanilla",
        tasks=TASKS,
        seeds=study.seeds,
        delta=1.0,
        alpha=0.05,
        training={},
        train_size=None,
    )
    return summarise_sequence(study, settings, [info(name) for name in TASKS], grid, {r.id: r for r in records})


def test_a_chain_shows_what_is_left_of_its_first_task_after_each_stage():
    study, grid = plan(sequence="chain")
    records = [finished(grid[0], None, sst2=0.6)]
    for spec in grid[1:]:
        lost = 0.0 if spec.after is None else 0.2 if spec.method == "vanilla" else 0.05
        records.append(finished(spec, 0.7, sst2=0.9 - lost + 0.001 * spec.seed))
    found = summary(study, grid, records)
    assert [(stage.number, stage.cycle, stage.task) for stage in found.stages] == [(1, 1, "sst2"), (2, 1, "rte")]
    places = [(row.stage, row.method, row.n) for row in found.probes]
    assert places == [(0, "", 1), (1, "vanilla", 3), (1, "r4f", 3), (2, "vanilla", 3), (2, "r4f", 3)]
    means = [row.mean for row in found.probes]
    assert means == pytest.approx([60, 90.1, 90.1, 70.1, 85.1])
    last = found.probes[-1]
    assert last.difference == pytest.approx(15)
    assert (last.verdict, found.probes[1].verdict, found.probes[0].verdict) == ("better", "baseline", None)
    assert any(text.startswith("On sst2 after rte, r4f beats vanilla by 15.0") for text in found.sentences)
    assert [row.mean for row in found.results] == pytest.approx([70] * 4)
    assert found.warnings == ["sst2: of sst2", "rte: of rte"]
    assert found.errors == []


def test_cycles_show_each_task_before_its_own_turn():
    study, grid = plan(sequence="cycles", cycles=2, seeds=2)
    records = [finished(grid[0], None, sst2=0.6, rte=0.5)]
    for number, spec in enumerate(grid[1:]):
        stage = number // 4 + 1
        probes = {target.task.source: 0.6 + 0.1 * stage for target in spec.probed}
        records.append(finished(spec, 0.5 + 0.1 * stage, **probes))
    found = summary(study, grid, records)
    assert [(stage.cycle, stage.task) for stage in found.stages] == [(1, "sst2"), (1, "rte"), (2, "sst2"), (2, "rte")]
    own = [(row.stage, row.cycle, row.target, row.mean) for row in found.probes if row.method in ("", "r4f")]
    assert own == [
        (0, 1, "sst2", pytest.approx(60)),
        (0, 1, "rte", pytest.approx(50)),
        (1, 1, "rte", pytest.approx(70)),
        (2, 2, "sst2", pytest.approx(80)),
        (3, 2, "rte", pytest.approx(90)),
    ]
    assert [row.mean for row in found.results if row.method == "r4f"] == pytest.approx([60, 70, 80, 90])
    assert all(row.verdict in ("baseline", "too few runs") for row in found.probes if row.method)


def test_what_is_missing_is_told_and_not_counted():
    study, grid = plan(sequence="chain", seeds=2)
    first = finished(grid[1], 0.7, sst2=0.9)
    broken = RunRecord(id=grid[2].id, spec=grid[2], status="error", error="no space")
    found = summary(study, grid, [first, broken])
    assert [(row.stage, row.method, row.scores) for row in found.probes[:3]] == [
        (0, "", [None]),
        (1, "vanilla", [90.0, None]),
        (1, "r4f", [None, None]),
    ]
    told = {(error["task"], error["method"], error["error"]) for error in found.errors}
    assert ("sst2", "pre-trained", "no result yet") in told
    assert ("sst2 (stage 1)", "r4f", "no space") in told
    assert ("rte (stage 2)", "vanilla", "no result yet") in told
    assert len(found.errors) == len(grid) - 1


def test_a_model_that_diverged_counts_as_the_best_constant_prediction():
    study, grid = plan(sequence="chain", seeds=1)
    record = finished(grid[1], 0.5, sst2=None)
    found = summary(study, grid, [record])
    assert found.probes[1].scores == [50.0]


def test_the_protocols_open_choices_are_told():
    study, grid = plan(sequence="chain", probe={"rows": 70, "layer": 3})
    told = " ".join(summary(study, grid, []).choices)
    assert "at most 70 training rows" in told
    assert "hidden layer 3" in told
    assert "new head" in told


def test_a_stage_whose_score_is_undefined_counts_as_a_constant_prediction():
    study, grid = plan(sequence="chain", methods=["vanilla"])
    first = [spec for spec in grid[1:] if spec.after is None]
    records = [finished(spec, score, sst2=0.6) for spec, score in zip(first, (0.8, None, 0.9), strict=True)]
    row = summary(study, grid, records).results[0]
    assert row.scores == pytest.approx([80, 50, 90])

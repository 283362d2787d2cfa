"""The paper's numbers beside measured ones, worked out by hand."""

import pytest

from holdfast.records.run import RunRecord, RunSpec
from holdfast.report.block import Report
from holdfast.report.markdown import markdown
from holdfast.report.sections import published
from holdfast.study.analysis.reproduction import reproduce, together
from holdfast.study.define.recipe import load_recipe
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.grid import resolve_methods


def beside(found):
    return markdown(Report((published.paper_comparison(found),)))


def study(name, task, **changed):
    return resolve_methods(from_options({**load_recipe(name).values(task), **changed}))


def record(of, method, seed, metrics, extra=None):
    spec = RunSpec(model=of.model, task=of.tasks[0], data="0", method=method, seed=seed, data_seed=seed)
    return RunRecord(id=spec.id, spec=spec, status="finished", metrics=metrics, extra_metrics=extra or {})


def test_best_with_best_and_median_with_median():
    of = study("r3f-glue", "rte", seeds=3)
    found = reproduce(of, [record(of, "r3f", seed, {"accuracy": score}) for seed, score in enumerate((0.8, 0.9, 0.83))])
    rows = {row.statistic: row for row in found.rows if row.method == "r3f"}
    assert (rows["best"].measured, rows["median"].measured) == (90.0, 83.0)
    assert rows["best"].difference == pytest.approx(90.0 - 88.5)
    assert rows["median"].difference == pytest.approx(83.0 - 88.4)
    assert (rows["best"].n, rows["best"].published_runs, rows["best"].called) == (3, 10, "R3F")
    assert {row.place for row in found.rows} == {"rte"}
    bare = next(row for row in found.rows if row.method == "vanilla")
    assert (bare.measured, bare.n, bare.difference) == (None, 0, None)
    assert found.changed == ["seeds: 3 in place of 10"]


def test_second_metrics_and_other_rows():
    of = study("r3f-glue", "mnli")
    own = record(of, "r4f", 0, {"accuracy": 0.5}, {"mnli_mm": {"accuracy": 0.6}})
    found = [row for row in reproduce(of, [own]).rows if (row.method, row.statistic) == ("r4f", "best")]
    assert [(row.place, row.measured, row.published) for row in found] == [("mnli", 50, 90.1), ("mnli_mm", 60, 90.8)]
    of = study("r3f-glue", "qqp")
    found = reproduce(of, [record(of, "r3f", 0, {"accuracy": 0.7, "f1": 0.4})]).rows
    assert {row.metric: row.measured for row in found if row.method == "r3f"} == {"accuracy": 70, "f1": 40}


def test_a_mean_over_languages_needs_all_of_them():
    of = study("r3f-xnli", "mnli")
    codes = [ood.task.source for ood in of.ood]
    whole = {code: {"accuracy": place / 100} for place, code in enumerate(codes)}
    lacking = {**whole, codes[3]: {"accuracy": None}}
    records = [record(of, "r3f", seed, {"accuracy": 1.0}, extra) for seed, extra in enumerate((whole, lacking))]
    rows = {row.place: row for row in reproduce(of, records).rows if row.method == "r3f"}
    assert len(rows) == 16
    assert (rows["xnli (15 languages)"].measured, rows["xnli (15 languages)"].n) == (pytest.approx(7.0), 1)
    assert (rows[codes[3]].n, rows[codes[4]].n) == (1, 2)


def test_methods_with_other_arguments_are_not_the_papers():
    of = study("r3f-glue", "rte", methods=["vanilla", "r3f(sigma=0.0)"])
    assert {row.method for row in reproduce(of, []).rows} == {"vanilla"}
    of = study("r3f-glue", "rte", methods=["vanilla", "smart"])
    assert [row.statistic for row in reproduce(of, []).rows if row.method == "smart"] == ["median"]


def test_what_was_changed_is_told():
    settings = {**load_recipe("r3f-glue").values("rte")["settings"], "max_steps": 10}
    of = study("r3f-glue", "rte", model="minilm", train_size=300, settings=settings)
    assert reproduce(of, []).changed == [
        "model minilm in place of FacebookAI/roberta-large",
        "train_size 300 in place of not set",
        "max_steps 10 in place of 3120",
    ]


def test_a_study_without_a_recipe_has_nothing_beside_it():
    assert reproduce(from_options({"tasks": ["rte"]}), []) is None


def test_a_smoke_run_is_marked_and_has_no_differences():
    of = study("r3f-glue", "rte", model="minilm", smoke=True)
    found = reproduce(of, [record(of, "r3f", 0, {"accuracy": 0.9})])
    assert {row.difference for row in found.rows} == {None}
    assert any(row.measured == 90.0 for row in found.rows)
    assert not found.changed
    block = published.paper_comparison(found)
    assert block.notes[0] == published.SMOKE
    assert {row.cells[-1].text for row in block.table.rows} == {"–"}


def test_tables_say_what_was_made_of_how_many_runs():
    of = study("r3f-glue", "rte")
    text = beside(reproduce(of, [record(of, "r3f", 0, {"accuracy": 0.9})]))
    assert "| r3f (R3F) | rte | accuracy | best | 88.5 (10) | 90.0 (1) | +1.5 |" in text
    assert "| vanilla (STD++) | rte | accuracy | median | 87.4 (10) | – (0) | – |" in text
    assert "The best of fewer runs is lower on average" in text
    of = study("r3f-gigaword", "gigaword")
    text = beside(reproduce(of, [record(of, "vanilla", 0, {"rouge1": 0.3929, "rouge2": 0.2, "rougeL": None})]))
    assert "39.29 (not told) | 39.29 (1) | 0.00 |" in text
    assert "35.65 (not told) | – (0) | – |" in text


def test_several_tasks_are_put_together_once():
    found = [reproduce(study("r3f-glue", task, model="minilm"), []) for task in ("rte", "cola")]
    whole = together(found)
    assert [row.place for row in whole.rows] == ["rte"] * 6 + ["cola"] * 6
    assert len(whole.changed) == 1
    assert "model minilm" in whole.changed[0]


def test_reasons_that_keys_share_are_told_once():
    lines = published.unverified({"a": "why", "b": "how", "c": "why"})
    assert lines == ["Not verified: a, c: why", "Not verified: b: how"]


def test_a_recipe_without_verified_results_says_so():
    found = reproduce(study("dps-glue", "rte"), [])
    assert "no verified result" in published.paper_comparison(found).notes[0]
    assert "| method |" not in beside(found)

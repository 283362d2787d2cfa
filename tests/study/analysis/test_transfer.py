"""Scores beside a study's own task, from hand-made records."""

import pytest

from holdfast.records.run import OtherTask, ProbeScore, ProbeSettings
from holdfast.records.summary import Settings, Target, TaskInfo
from holdfast.records.task import TaskSpec
from holdfast.study.analysis.compare import summarise
from study.run_records import run_record, run_spec

CR = Target(name="cr", kind="ood", metric="accuracy", rows=200, constant_score=60.0, split="test")
COLA = Target(name="cola", kind="probe", metric="matthews", rows=100, constant_score=0.0, split="validation")
METHODS = ["vanilla", "r3f"]


def info(name="sst2", **changes):
    values = {"metric": "accuracy", "kind": "classification", "train_rows": 50, "scored_split": "test"}
    values |= {"scored_rows": 1000, "selection": "", "constant_score": 50.0, "labels": [], "notes": [], "warnings": []}
    values |= {"targets": [CR, COLA]}
    return TaskInfo(task=name, base="sst2", **(values | changes))


def probe(*scores):
    return {"cola": ProbeScore(metric="matthews", scores=list(scores), strengths=[], layer=2, seconds=1.0)}


def run(method, seed, score=0.8, cr=0.7, cola=(0.3,), size=None, **changes):
    spec = run_spec("sst2", method, seed, train_size=size)
    beside = {"extra_metrics": {"cr": {"accuracy": cr}} if cr != "absent" else {}, "probes": probe(*cola)}
    return run_record(score, spec=spec, **(beside | changes))


def summary(records, infos=None, sizes=(None,), seeds=3, reference=None, **ended):
    infos = infos or [info()]
    grid = [run_spec("sst2", m, s, train_size=size) for size in sizes for s in range(seeds) for m in METHODS]
    found = {record.id: record for record in records}
    if reference is not None:
        spec = run_spec("sst2", "", 0, train_size=sizes[0], probed=(OtherTask(task=TaskSpec(source="cola"), data="d"),))
        spec = spec.model_copy(update={"probe": ProbeSettings()})
        grid = [spec, *grid]
        found[spec.id] = run_record(None, spec=spec, metrics={}, primary="", probes=reference, **ended)
    settings = Settings(
        model="m",
        methods=METHODS,
        baseline="vanilla",
        tasks=[one.task for one in infos],
        seeds=list(range(seeds)),
        delta=1.0,
        alpha=0.05,
        training={},
        train_size=None,
    )
    names = {("sst2", size): one.task for size, one in zip(sizes, infos, strict=True)}
    return summarise(settings, infos, grid, found, [], 1, names)


def rows(result, **wanted):
    return [row for row in result.transfer if all(getattr(row, key) == value for key, value in wanted.items())]


def test_a_target_is_compared_with_the_baseline_in_points():
    records = [run("vanilla", seed, cr=0.70 + 0.01 * seed) for seed in range(3)]
    records += [run("r3f", seed, cr=0.80 + 0.01 * seed) for seed in range(3)]
    result = summary(records)
    (row,) = rows(result, target="cr", method="r3f")
    assert row.scores == pytest.approx([80, 81, 82])
    assert (row.mean, row.std, row.worst) == pytest.approx((81, 1, 80))
    assert row.difference == pytest.approx(10)
    # Welch: standard error sqrt(2/3), 4 degrees of freedom, t of 97.5 % 2.776.
    margin = 2.776 * (2 / 3) ** 0.5
    assert (row.ci_low, row.ci_high) == pytest.approx((10 - margin, 10 + margin), abs=2e-3)
    assert row.verdict == "better"
    assert any(text.startswith("On cr, r3f beats vanilla by 10.0 points") for text in result.transfer_sentences)
    (base,) = rows(result, target="cr", method="vanilla")
    assert (base.verdict, base.difference, base.n) == ("baseline", None, 3)


def test_several_probes_of_a_run_are_one_score_their_mean():
    records = [run(m, s, cola=(0.2, 0.3 + 0.1 * s, None)) for m in METHODS for s in range(3)]
    result = summary(records, reference=probe(0.5, 0.7))
    (row,) = rows(result, target="cola", method="r3f")
    assert row.scores == pytest.approx([25, 30, 35])
    assert row.reference == pytest.approx(60)
    assert rows(result, target="cr", method="r3f")[0].reference is None


def test_scores_that_are_undefined_count_as_the_best_constant_predictions():
    records = [run("vanilla", s, cola=(0.1 * s,)) for s in range(3)]
    records += [run("r3f", 0, cr=None, cola=()), run("r3f", 1, cola=(None,)), run("r3f", 2)]
    result = summary(records)
    assert rows(result, target="cr", method="r3f")[0].scores == pytest.approx([60, 70, 70])
    assert rows(result, target="cola", method="r3f")[0].scores == pytest.approx([0, 0, 30])


def test_a_mean_over_languages_is_taken_run_by_run():
    english, swahili = (CR.model_copy(update={"name": f"xnli_{code}"}) for code in ("en", "sw"))
    both = CR.model_copy(update={"name": "xnli, mean of 2", "members": ["xnli_en", "xnli_sw"]})
    scores = {"vanilla": [(0.8, 0.4), (0.7, 0.5), (0.9, 0.2)], "r3f": [(0.9, 0.5), (0.8, None), (0.9, "absent")]}
    records = []
    for method, pairs in scores.items():
        for seed, (en, sw) in enumerate(pairs):
            extra = {"xnli_en": {"accuracy": en}} | ({} if sw == "absent" else {"xnli_sw": {"accuracy": sw}})
            records.append(run(method, seed, extra_metrics=extra))
    result = summary(records, [info(targets=[english, swahili, both])])
    assert rows(result, target=both.name, method="vanilla")[0].scores == pytest.approx([60, 60, 55])
    # A language without a defined score leaves no mean: the run counts as the best constant prediction.
    assert rows(result, target=both.name, method="r3f")[0].scores == [pytest.approx(70), 60.0, None]


def test_runs_without_a_result_are_missing_not_zero():
    records = [run("vanilla", s) for s in range(3)] + [run("r3f", 1, cr="absent"), run("r3f", 2, status="error")]
    result = summary(records)
    (row,) = rows(result, target="cr", method="r3f")
    assert (row.scores, row.n, row.mean, row.verdict) == ([None, None, None], 0, None, "too few runs")
    assert rows(result, target="cola", method="r3f")[0].n == 1


def test_a_run_that_learned_nothing_counts_as_failed_out_of_domain_but_not_under_a_probe():
    records = [run(m, s) for m in METHODS for s in range(5)]
    records[-1] = run("r3f", 4, score=0.5, cr=0.6, dominant_share=1.0)
    result = summary(records, seeds=5)
    text = " ".join(result.transfer_sentences)
    (ood,) = rows(result, target="cr", method="r3f")
    assert ood.mean == pytest.approx(68)
    # The two-part rule, which only failed runs bring in, has no verdict here; identical probes have.
    assert ood.verdict == "cannot be told apart"
    assert rows(result, target="cola", method="r3f")[0].verdict == "practically equal"
    assert "r3f on cr" in text


def test_each_kind_is_a_family_of_comparisons_of_its_own():
    records = [run("vanilla", s, cr=0.70 + 0.01 * s, cola=(0.1 * s,)) for s in range(3)]
    records += [run("r3f", s, cr=0.75 + 0.01 * s, cola=(0.1 * s,)) for s in range(3)]
    result = summary(records)
    for row in result.transfer:
        assert row.p_adjusted == row.p_value, "one comparison of each kind, so Holm changes nothing"


def test_several_sizes_are_told_apart():
    records = [run(m, s, size=n, cr=0.5 + n / 1000 + 0.01 * s) for n in (100, 300) for m in METHODS for s in range(3)]
    infos = [info("sst2 (100 rows)"), info("sst2 (300 rows)")]
    result = summary(records, infos, sizes=(100, 300))
    assert rows(result, task="sst2 (100 rows)", target="cr", method="r3f")[0].mean == pytest.approx(61)
    assert rows(result, task="sst2 (300 rows)", target="cr", method="r3f")[0].mean == pytest.approx(81)
    assert [row.task for row in result.results] == ["sst2 (100 rows)"] * 2 + ["sst2 (300 rows)"] * 2
    assert "cr, tuned on sst2 (100 rows)" in " ".join(result.transfer_sentences)


def test_probes_of_the_pretrained_model_that_failed_are_told():
    records = [run(m, s) for m in METHODS for s in range(3)]
    assert summary(records, reference=probe(0.5)).errors == []
    (error,) = summary(records, reference=probe(0.5), status="error", error="no space").errors
    assert (error["method"], error["error"]) == ("pre-trained", "no space")

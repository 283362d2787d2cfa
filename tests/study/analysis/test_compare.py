import random
from collections.abc import Mapping
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.run import RunRecord
from holdfast.records.summary import Row, Settings, Summary, TaskInfo
from holdfast.study.analysis.compare import Comparison, compare_runs, summarise
from holdfast.study.statistics.intervals import mean_over_tasks, welch
from study.run_records import run_record, run_records, run_spec

VANILLA = [0.66, 0.70, 0.68, 0.67, 0.69]
R3F = [0.70, 0.71, 0.69, 0.72, 0.70]


def _two_methods(**common: Any) -> list[RunRecord]:
    return run_records(VANILLA, **common) + run_records(R3F, method="r3f", train_seconds=15.0, **common)


def _row(found: Comparison | Summary, task: str, method: str) -> Row:
    rows = found.rows if isinstance(found, Comparison) else found.results
    return next(row for row in rows if (row.task, row.method) == (task, method))


def test_row_of_a_comparison() -> None:
    row = _row(compare_runs(_two_methods()), "rte", "r3f")
    oracle = welch([100 * score for score in R3F], [100 * score for score in VANILLA], step=0.1)
    assert (row.n, row.failed, row.missing) == (5, 0, 0)
    assert (row.mean, row.worst, row.best) == pytest.approx((70.4, 69, 72))
    assert row.std == pytest.approx(1.3**0.5)
    assert (row.difference, row.ci_low, row.ci_high) == pytest.approx(
        (oracle.estimate, oracle.interval.low, oracle.interval.high)
    )
    assert row.p_value == row.p_adjusted == pytest.approx(oracle.p_value)
    assert row.win_probability == pytest.approx(0.9)
    assert row.verdict == "better"
    assert (row.seconds, row.cost_ratio) == (15.0, 1.5)
    assert row.scores == pytest.approx([70, 71, 69, 72, 70])
    assert (row.failed_low, row.failed_high) == pytest.approx((0, 0.434), abs=5e-4)


def test_the_baseline_is_compared_with_nothing() -> None:
    row = _row(compare_runs(_two_methods()), "rte", "vanilla")
    assert row.verdict == "baseline"
    assert row.cost_ratio == 1.0
    assert {row.difference, row.ci_low, row.p_value, row.p_adjusted, row.win_probability} == {None}


def test_baseline_can_be_chosen() -> None:
    found = compare_runs(_two_methods(), baseline="r3f")
    assert found.baseline == "r3f"
    assert [row.method for row in found.rows] == ["r3f", "vanilla"]
    assert _row(found, "rte", "vanilla").verdict == "worse"
    assert [row.method for row in compare_runs(_two_methods()).rows] == ["vanilla", "r3f"]


def test_without_vanilla_the_first_by_name_is_the_baseline() -> None:
    records = run_records(VANILLA, method="r4f") + run_records(R3F, method="r3f")
    assert compare_runs(records).baseline == "r3f"
    assert compare_runs(records[::-1]).baseline == "r3f"


def test_the_order_of_records_changes_nothing() -> None:
    records = _two_methods() + _two_methods(task="cola") + run_records([None, *VANILLA[1:]], method="r4f")
    found = compare_runs(records)
    for seed in range(3):
        random.Random(seed).shuffle(records)
        assert compare_runs(records) == found


def test_holm_counts_all_comparisons_of_the_table() -> None:
    records = [record for task in ("cola", "rte") for record in _two_methods(task=task)]
    records += [record for task in ("cola", "rte") for record in run_records(VANILLA, task=task, method="r4f")]
    found = compare_runs(records)
    row = _row(found, "rte", "r3f")
    assert row.p_value == pytest.approx(0.0273, abs=5e-5)
    assert row.p_adjusted == pytest.approx(4 * 0.0273, abs=5e-4)
    assert row.verdict == "cannot be told apart"
    assert any("not after allowing for 4 comparisons" in sentence for sentence in found.sentences)
    assert sum("over seeds only; same test set" in sentence for sentence in found.sentences) == 1
    assert "δ = 1 point" in found.sentences[-1]


def test_failed_runs_are_counted_and_shown_apart() -> None:
    records = run_records([0.5, None, *VANILLA[2:]]) + run_records(R3F, method="r3f")
    found = compare_runs(records)
    vanilla, r3f = _row(found, "rte", "vanilla"), _row(found, "rte", "r3f")
    assert (vanilla.failed, vanilla.failed_seeds) == (2, [0, 1])
    assert vanilla.scores == pytest.approx([50, 50, 68, 67, 69])
    assert (vanilla.mean, vanilla.trained_mean) == pytest.approx((60.8, 68))
    assert r3f.difference == pytest.approx(70.4 - 60.8)
    assert r3f.trained_difference == pytest.approx(70.4 - 68)
    assert "vanilla failed 2 of 5 runs, r3f 0 of 5" in found.sentences[0]


def test_two_runs_get_no_verdict() -> None:
    found = compare_runs(run_records(VANILLA[:2]) + run_records(R3F[:2], method="r3f"))
    row = _row(found, "rte", "r3f")
    assert (row.verdict, row.p_adjusted) == ("too few runs", None)
    assert row.ci_low is not None
    single = _row(compare_runs([run_record(), run_record(method="r3f")]), "rte", "r3f")
    assert (single.verdict, single.std, single.ci_low) == ("too few runs", None, None)


def test_missing_runs_are_named() -> None:
    records = _two_methods()
    records[3] = run_record(seed=3, status="error", error="out of memory", task_name="", metrics={})
    found = compare_runs(records[:-1])
    vanilla, r3f = _row(found, "rte", "vanilla"), _row(found, "rte", "r3f")
    assert (vanilla.n, vanilla.missing, vanilla.scores[3]) == (4, 1, None)
    assert (r3f.n, r3f.missing, r3f.scores[4]) == (4, 1, None)
    assert any("vanilla on rte with seed 3 is missing" in s and "(out of memory)" in s for s in found.sentences)
    assert any("r3f on rte with seed 4 is missing" in sentence for sentence in found.sentences)


def test_mean_over_tasks_of_one_scale_is_in_points() -> None:
    second = ([0.87, 0.89, 0.88, 0.86, 0.90], [0.88, 0.90, 0.87, 0.91, 0.89])
    records = _two_methods() + run_records(second[0], task="sst2") + run_records(second[1], task="sst2", method="r3f")
    (overall,) = compare_runs(records).overall
    points = [[100 * score for score in scores] for scores in (R3F, VANILLA, second[1], second[0])]
    oracle = mean_over_tasks([(points[0], points[1]), (points[2], points[3])], [0.1, 0.1])
    assert (overall.method, overall.tasks, overall.normalised) == ("r3f", 2, False)
    assert (overall.difference, overall.ci_low, overall.ci_high) == pytest.approx(
        (1.7, oracle.interval.low, oracle.interval.high)
    )


def test_mean_over_mixed_scales_is_in_shares_of_the_way_to_a_perfect_score() -> None:
    records = _two_methods()
    for method, score in (("vanilla", 0.40), ("r3f", 0.43)):
        records += run_records([score, score + 0.02, score - 0.02], task="cola", method=method, primary="matthews")
    (overall,) = compare_runs(records).overall
    # 2.4 points of the 50 that accuracy leaves are 4.8 %; 3 of 100 for Matthews are 3 %.
    assert overall.normalised
    assert overall.difference == pytest.approx((4.8 + 3) / 2)


def test_equal_scores_of_every_seed_are_warned_of() -> None:
    found = compare_runs(run_records([0.7] * 5) + run_records(R3F, method="r3f"))
    assert "All 5 trained runs of vanilla on rte scored 70.0: the seed probably has no effect." in found.sentences
    perfect = compare_runs(run_records([1.0] * 5) + run_records([1.0] * 5, method="r3f"))
    assert any("the task is too easy to tell methods apart" in sentence for sentence in perfect.sentences)
    row = _row(perfect, "rte", "r3f")
    assert (row.verdict, row.p_value) == ("practically equal", 1.0)
    # 1,000 rows: scores in steps of 0.1 points, variance of rounding 0.1^2 / 12; 8 degrees of freedom.
    assert row.ci_high == pytest.approx(2.306004 * (2 * 0.1**2 / 12 / 5) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("r3f", "told"), [([0.50, 0.45, 0.55, 0.60], True), ([0.50, 0.55, 0.56, 0.57], False)])
def test_runs_that_learned_nothing_are_told_with_what_to_do(r3f: list[float], told: bool) -> None:
    """Half of all runs at or below the constant prediction's 0.5: 2 of vanilla's and 2 of r3f's, against 1."""
    records = run_records([0.50, 0.49, 0.61, 0.62]) + run_records(r3f, method="r3f")
    records = [record.model_copy(update={"constant_scores": {"accuracy": 0.5}}) for record in records]
    notes = [line for line in compare_runs(records).sentences if "always giving the same answer" in line]
    assert notes == ([line for line in notes if "On rte, 4 of 8 runs" in line and "--epochs" in line] if told else [])
    assert bool(notes) == told


def test_spread_is_judged_over_four_tasks_only() -> None:
    def records(tasks: str) -> list[RunRecord]:
        scores = {"vanilla": [0.70, 0.75, 0.65, 0.72, 0.68], "r3f": [0.70, 0.703, 0.697, 0.702, 0.698]}
        return [r for task in tasks for method, s in scores.items() for r in run_records(s, task=task, method=method)]

    four, three = compare_runs(records("abcd")).sentences, compare_runs(records("abc")).sentences
    assert any("r3f is steadier than vanilla: over 4 tasks" in sentence for sentence in four)
    assert not any("stead" in sentence for sentence in three)


def test_per_example_correctness_adds_a_second_line() -> None:
    def correct(record: RunRecord) -> list[float]:
        right = round(1000 * (record.metrics["accuracy"] or 0))
        return [1.0] * right + [0.0] * (1000 - right)

    records = _two_methods()
    found = compare_runs(records, per_example={record.id: correct(record) for record in records})
    assert found.sentences[1].startswith("Over seeds and test examples, r3f − vanilla on rte = 2.4 points (95 % CI")
    assert len(compare_runs(records).sentences) == len(found.sentences) - 1


def test_a_run_that_diverged_before_it_was_scored_counts_as_the_constant_prediction() -> None:
    records = _two_methods()
    records[0] = run_record(
        seed=0, diverged=True, metrics={}, primary="", scored_split="", scored_rows=0, constant_scores={}
    )
    row = _row(compare_runs(records), "rte", "vanilla")
    assert (row.scores[0], row.failed_seeds) == (50.0, [0])


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([], "no run records"),
        ([run_record(), run_record()], "are both vanilla on rte with seed 0"),
        ([run_record(), run_record(spec=run_spec(seed=1, data="other"))], "of rte differ in data"),
        ([run_record(), run_record(spec=run_spec(seed=1, model="other"))], "of rte differ in model"),
        ([run_record(), run_record(seed=1, scored_split="validation")], "of rte differ in scored_split"),
        (
            [run_record(), run_record(spec=run_spec(seed=1, settings={"learning_rate": 1e-3}))],
            "of vanilla on rte differ in settings",
        ),
        ([run_record(constant_scores={})], "no record of rte has constant_scores"),
    ],
)
def test_records_that_cannot_be_compared_are_refused(records: list[RunRecord], message: str) -> None:
    with pytest.raises(HoldfastError, match=message):
        compare_runs(records)


def test_runs_on_perturbed_data_have_no_part_in_a_comparison() -> None:
    records = [*run_records([0.7, 0.72, 0.71]), *run_records([0.8, 0.81, 0.83], method="r3f")]
    perturbed = [run_record(0.1, spec=run_spec(method="r3f", perturb={"seed": seed})) for seed in range(3)]
    assert compare_runs([*perturbed, *records]) == compare_runs(records)
    with pytest.raises(HoldfastError, match="all runs are on perturbed data"):
        compare_runs(perturbed)


def test_methods_may_have_settings_of_their_own() -> None:
    tuned = run_record(0.8, spec=run_spec(method="r3f", settings={"learning_rate": 1e-4}))
    assert _row(compare_runs([run_record(), tuned]), "rte", "r3f").difference == pytest.approx(10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "r2f"}, r"baseline 'r2f' is not one of the methods \(r3f, vanilla\)"),
        ({"delta": 0.0}, "delta is 0"),
        ({"alpha": 5.0}, "alpha is 5"),
    ],
)
def test_bad_options_are_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(HoldfastError, match=message):
        compare_runs(_two_methods(), **options)


def _summary(
    records: list[RunRecord], analyses: int = 1, seeds: tuple[int, ...] = (3, 1, 2), **changes: Any
) -> Summary:
    """Two tasks, three methods; the grid runs through the seeds first."""
    methods = ["r4f", "vanilla", "r3f"]
    grid = [run_spec(source, method, seed) for seed in seeds for source in ("b.csv", "a.csv") for method in methods]
    settings = Settings(
        model="tiny",
        methods=methods,
        baseline="vanilla",
        tasks=["b.csv", "a.csv"],
        seeds=list(seeds),
        delta=1.0,
        alpha=0.05,
        training={},
        train_size=None,
    )
    tasks = [
        TaskInfo(
            task=name,
            metric="accuracy",
            kind="classification",
            train_rows=100,
            scored_split="validation",
            scored_rows=1000,
            selection="the last step",
            constant_score=50.0,
            labels=["no", "yes"],
            notes=[],
            warnings=[],
        )
        for name in ("b", "a")
    ]
    by_id = {record.id: record for record in records}
    names = {("a.csv", None): "a", ("b.csv", None): "b"}
    given: dict[str, Any] = {"settings": settings, "tasks": tasks, "grid": grid, "records": by_id, "best": []}
    return summarise(**(given | changes), analyses=analyses, names=names)


def _study_records() -> list[RunRecord]:
    return [
        run_record(0.6 + 0.01 * seed + bonus, spec=run_spec(source, method, seed), task_name=source[0])
        for source in ("a.csv", "b.csv")
        for method, bonus in (("vanilla", 0.0), ("r3f", 0.1), ("r4f", 0.0))
        for seed in (1, 2, 3)
    ]


def test_summary_keeps_the_order_of_grid_and_seeds() -> None:
    summary = _summary(_study_records())
    assert [(row.task, row.method) for row in summary.results] == [
        (task, method) for task in ("b", "a") for method in ("r4f", "vanilla", "r3f")
    ]
    assert _row(summary, "a", "vanilla").scores == pytest.approx([63, 61, 62])
    assert _row(summary, "b", "r3f").verdict == "better"
    assert summary.errors == []
    assert any("same validation set" in sentence for sentence in summary.sentences)
    assert Summary.model_validate_json(summary.model_dump_json()) == summary


def test_summary_lists_what_is_missing() -> None:
    records = _study_records()
    records[0] = run_record(spec=run_spec("a.csv", "vanilla", 1), status="error", error="killed", task_name="")
    summary = _summary(records[:-1])
    assert [(e["task"], e["method"], e["seed"], e["error"]) for e in summary.errors] == [
        ("b", "r4f", "3", "no result yet"),
        ("a", "vanilla", "1", "killed"),
    ]
    assert (_row(summary, "a", "vanilla").missing, _row(summary, "a", "vanilla").scores[1]) == (1, None)
    assert any("r4f on b with seed 3 is missing" in sentence for sentence in summary.sentences)


def test_summary_of_a_study_without_results() -> None:
    summary = _summary([])
    assert {row.n for row in summary.results} == {0}
    assert {row.verdict for row in summary.results} == {"baseline", "too few runs"}
    assert summary.overall == []


def test_summary_of_a_study_in_which_everything_diverged() -> None:
    lost = [
        run_record(
            spec=record.spec, task_name="", metrics={}, primary="", constant_scores={}, scored_rows=0, diverged=True
        )
        for record in _study_records()
    ]
    row = _row(_summary(lost), "a", "r3f")
    assert (row.failed, row.mean, row.trained_mean, row.verdict) == (3, 50.0, None, "cannot be told apart")


def test_summary_tells_of_repeated_looks() -> None:
    assert not any("Looked at" in sentence for sentence in _summary(_study_records()).sentences)
    *_, interim, closing = _summary(_study_records(), analyses=2).sentences
    assert "Looked at 2 times" in interim
    assert closing.endswith("over seeds only; same validation set.")


def test_tasks_of_one_name_are_refused() -> None:
    summary = _summary(_study_records())
    with pytest.raises(HoldfastError, match=r"tasks share a name \(b, b\)"):
        _summary(_study_records(), tasks=[summary.tasks[0]] * 2)

"""The answer of a study, from summaries made by hand."""

import pytest
from scipy import stats

from holdfast.records.summary import Best
from holdfast.study.analysis.answer import answer
from holdfast.study.analysis.sequence_answer import sequence_answer
from report.sequence.sequences import chain, cycles, probe
from report.studies import CONSTANT, FAILING, R3F, VANILLA, row, summary, task
from report.transfers import transfers

BEST = Best(task="rte", run="a", method="r3f", seed=3, selection_score=74.0, score=71.1, optimistic=False, path="best")
IDLE = (52.0, CONSTANT, 51.0, CONSTANT, 50.0)


def study(*groups, verdict="cannot be told apart", info=None, delta=1.0, **changes):
    """Methods on one task, the first the baseline; a group is (name, scores, changes of its row)."""
    info = info or task()
    rows = [row(info.task, groups[0][0], groups[0][1])]
    for name, scores, *more in groups[1:]:
        values = more[0] if more else {}
        made = row(info.task, name, scores, groups[0][1], verdict=values.pop("verdict", verdict))
        rows.append(made.model_copy(update=values))
    result = summary(rows, [info], **changes)
    result.settings.delta = delta
    return result


def lines(found):
    return [line for line in (found.use, found.expect, *found.next_steps) if line]


def test_a_better_method_is_to_be_used_with_its_difference_and_its_cost():
    found = answer(study(("vanilla", VANILLA), ("r3f", R3F), verdict="better"))
    # By hand: means 68 and 70.4, Welch interval 0.354 to 4.446; rows made twice as slow.
    assert found.use == "Use r3f: it beats vanilla by 2.4 points (95 % CI 0.4 to 4.4), at 2.0 times its training time."
    assert "Expect 70.4 points of accuracy on new data" in found.expect
    assert "± 1.1 from seed to seed; the worst of 5 seeds scored 69.0" in found.expect
    assert found.next_steps == ()


def test_what_other_rows_may_give_is_the_interval_of_a_share_of_the_scored_rows():
    found = answer(study(("vanilla", VANILLA), ("r3f", R3F), verdict="better"))
    wilson = stats.binomtest(195, 277).proportion_ci(method="wilson")
    assert pytest.approx(0.704, abs=1e-3) == 195 / 277
    assert f"other rows may give {100 * wilson.low:.1f} to {100 * wilson.high:.1f}, as only 277" in found.expect


def test_of_several_better_methods_the_best_is_named_first():
    groups = (("vanilla", VANILLA), ("r4f", [x - 0.2 for x in R3F]), ("r3f", R3F))
    found = answer(study(*groups, verdict="better"))
    assert found.use.startswith("Use r3f: it beats vanilla")
    assert found.use.endswith("; r4f is better than it too.")


@pytest.mark.parametrize(
    ("delta", "said"),
    [
        # The plans of the tests of statistics: 27 seeds at 2 points.
        (2.0, "About 27 seeds each (--seeds 27) would settle it either way, at δ = 2 points."),
        (1.0, "Telling them apart by 1 point takes more than 50 seeds each: choose a larger δ (--delta) or pool over"),
    ],
)
def test_undecided_the_baseline_is_to_be_used_and_what_would_settle_it_is_told(delta, said):
    found = answer(study(("vanilla", VANILLA), ("r3f", R3F), delta=delta))
    assert found.use == (
        "Use vanilla, the baseline: no other method can be told apart from it, and none trains in less time."
    )
    assert "Expect 68.0 points" in found.expect
    assert found.next_steps[0].startswith(said)


def test_a_cheaper_method_that_is_as_good_is_to_be_used():
    groups = ("vanilla", VANILLA), ("bitfit", VANILLA, {"verdict": "practically equal", "cost_ratio": 0.5})
    use = answer(study(*groups)).use
    assert use == "Use bitfit: it is practically equal to vanilla, at 0.5 times its training time."
    dear = ("vanilla", VANILLA), ("bitfit", VANILLA, {"verdict": "practically equal", "cost_ratio": 1.5})
    assert answer(study(*dear)).use.startswith("Use vanilla, the baseline: the others are practically equal to it")


def test_where_all_others_are_worse_the_baseline_stays():
    found = answer(study(("vanilla", R3F), ("r3f", VANILLA), verdict="worse"))
    assert found.use == "Use vanilla, the baseline: every other method is worse."
    assert found.next_steps == ()


def test_models_that_did_not_learn_are_said_first_and_what_to_change():
    found = answer(study(("vanilla", IDLE), ("r3f", IDLE)))
    assert found.use == (
        "Use none of these models yet: 10 of 10 runs did no better than always giving the same answer, which scores "
        "52.7."
    )
    assert found.expect.endswith("the 52.7 points of the best constant prediction.")
    for said in ("--learning-rate, now 5e-05", "--epochs, now 3", "now 500", "labels"):
        assert said in found.next_steps[0]


def test_where_steps_were_given_more_steps_are_advised():
    result = study(("vanilla", IDLE), ("r3f", IDLE))
    training = {**result.settings.training, "max_steps": 40}
    settings = result.settings.model_copy(update={"training": training})
    advice = answer(result.model_copy(update={"settings": settings})).next_steps[0]
    assert "--max-steps, now 40" in advice
    assert "--epochs" not in advice


def test_failed_runs_count_as_runs_that_did_not_learn():
    failed = {"failed": 5, "failed_seeds": [0, 1, 2, 3, 4]}
    result = study(("vanilla", IDLE), ("r3f", R3F, failed))
    assert answer(result).use.startswith("Use none of these models yet: 10 of 10 runs")


def test_half_of_the_runs_is_enough_to_doubt_the_models_unless_one_method_is_better():
    groups = ("vanilla", IDLE), ("r3f", R3F)
    assert answer(study(*groups)).use.startswith("Use none of these models yet: 5 of 10 runs")
    assert answer(study(*groups, verdict="better")).use.startswith("Use r3f: it beats vanilla")


def test_a_baseline_that_did_not_learn_is_not_recommended():
    found = answer(study(("vanilla", IDLE), ("r3f", R3F), ("r4f", VANILLA)))
    assert found.use == "Use r3f for now: 5 of 5 runs of vanilla did no better than always giving the same answer."
    assert "--learning-rate" in found.next_steps[0]


def test_failed_runs_of_what_is_to_be_used_are_told():
    result = summary([row("rte", "vanilla", FAILING, None, (0, 4)), row("rte", "r3f", R3F, FAILING)], [task()])
    assert "2 of 5 failed to train" in answer(result).expect


def test_one_seed_gives_a_score_without_a_spread_and_asks_for_more():
    found = answer(study(("vanilla", (66.0,)), ("r3f", (70.0,))))
    assert found.use == "Use vanilla, the baseline, for now: with so few runs no method can be judged."
    assert "from a single run: how far seeds lie apart is not known" in found.expect
    assert "±" not in found.expect
    assert "--seeds 5" in found.next_steps[0]


def test_seeds_that_are_only_missing_are_not_asked_for_twice():
    result = study(("vanilla", (66.0, None, 67.0)), ("r3f", (70.0, None, 71.0)), errors=[{"run": "a"}] * 2)
    assert [step.split(":")[0] for step in answer(result).next_steps] == ["2 runs have no result"]


def test_a_single_method_is_compared_with_nothing():
    assert answer(study(("vanilla", VANILLA))).use == ("Use vanilla: the study has no other method to compare it with.")


@pytest.mark.parametrize(
    "info",
    [
        task("stsb", "pearson", kind="regression", labels=[], constant_score=0.0),
        task("ner", "entity_f1", kind="tokens", labels=["O", "B-X", "I-X"], constant_score=0.0),
        task("mnli", "macro_f1", labels=["a", "b", "c"], constant_score=16.7),
    ],
)
def test_only_a_share_of_rows_has_an_interval_over_rows(info):
    found = answer(study(("vanilla", VANILLA), ("r3f", R3F), info=info))
    assert f"Expect 68.0 points of {info.metric} " in found.expect
    assert "other rows" not in found.expect
    assert found.expect.endswith(f"The best constant prediction scores {info.constant_score}.")


def test_three_classes_scored_by_accuracy():
    info = task("mnli", labels=["a", "b", "c"], constant_score=33.4)
    found = answer(study(("vanilla", VANILLA), ("r3f", R3F), info=info, verdict="better"))
    assert "other rows may give" in found.expect
    assert found.expect.endswith("The best constant prediction scores 33.4.")


def test_tasks_with_the_same_choice_share_a_sentence_and_those_without_a_model_come_first():
    rows, infos = [], []
    for name, scores, verdict in (
        ("rte", R3F, "better"),
        ("cola", IDLE, "cannot be told apart"),
        ("mrpc", R3F, "better"),
        ("qnli", R3F, "cannot be told apart"),
    ):
        base = IDLE if scores is IDLE else VANILLA
        rows += [row(name, "vanilla", base), row(name, "r3f", scores, base, verdict=verdict)]
        infos.append(task(name))
    found = answer(summary(rows, infos))
    assert found.use.split(". ") == [
        "Use none of these models yet on cola: most runs did no better than always giving the same answer",
        "Use r3f on rte and mrpc: it beats vanilla by 2.4 and 2.4 points",
        "Use vanilla, the baseline, on qnli: no other method can be told apart from it, and none trains in less time.",
    ]
    assert found.expect.endswith(": rte 70.4 ± 1.1, mrpc 70.4 ± 1.1, qnli 68.0 ± 1.6.")
    assert len(found.next_steps) == 2


def test_one_choice_on_every_task_is_said_once():
    names = [f"task-{i}" for i in range(10)]
    rows = [
        made
        for name in names
        for made in (row(name, "vanilla", VANILLA), row(name, "r3f", VANILLA, VANILLA), row(name, "r4f", R3F, VANILLA))
    ]
    found = answer(summary(rows, [task(name) for name in names]))
    assert found.use.startswith("Use vanilla, the baseline, on all 10 tasks: no other method ")
    assert len(lines(found)) <= 5


def test_runs_without_a_result_are_to_be_done():
    result = study(("vanilla", (None,) * 3), ("r3f", (None,) * 3), errors=[{"run": "a"}] * 6)
    found = answer(result)
    assert lines(found)[0] == "There is nothing to use yet: no run has a result."
    assert "6 runs have no result" in lines(found)[1]
    lost = study(("vanilla", (None,) * 3), ("r3f", R3F[:3]), errors=[{"run": "a"}])
    assert lines(answer(lost))[0] == "Nothing can be recommended yet: the baseline, vanilla, has no result."
    assert "1 run has no result" in lines(answer(lost))[1]


def test_the_kept_model_is_named_with_what_flatters_it():
    plain = answer(study(("vanilla", VANILLA), ("r3f", R3F), verdict="better", best=[BEST]))
    assert plain.next_steps == ("To use a model at once, take best/: r3f, seed 3.",)
    kept = BEST.model_copy(update={"optimistic": True})
    chosen = answer(study(("vanilla", VANILLA), ("r3f", R3F), verdict="better", best=[kept]))
    assert chosen.next_steps[0].endswith("its own score is optimistic, as the scored rows chose it.")
    # Models that learned nothing are not offered.
    assert "best/" not in " ".join(lines(answer(study(("vanilla", IDLE), ("r3f", IDLE), best=[BEST]))))


def test_where_the_method_loses_elsewhere_is_told():
    assert answer(transfers()).expect.endswith(" On scitail it is worse than the baseline.")


def test_no_answer_is_longer_than_five_lines():
    mixed = study(("vanilla", FAILING), ("r3f", R3F), ("r4f", VANILLA), best=[BEST], errors=[{"run": "a"}])
    assert len(lines(answer(mixed))) <= 5


def test_a_sequence_is_answered_by_what_is_kept_at_its_end():
    found = sequence_answer(chain())
    assert found.use == "Use r4f: it keeps more of sst2 than vanilla."
    # By hand: r4f loses 1 a stage from 89.
    assert found.expect == "Expect of its last probe 86.0 ± 1.0 points on sst2 (the pre-trained model: 80.2)."
    assert sequence_answer(cycles()).use == "Use vanilla, the baseline: no other method has been shown to keep more."


def test_a_sequence_without_probes_or_with_few_has_no_answer_yet():
    lost = chain(probes=[probe(0, "", [None]), probe(1, "vanilla", [None] * 3)], errors=[{"run": "a"}])
    assert sequence_answer(lost).use == "There is nothing to use yet: no run was probed."
    assert len(sequence_answer(lost).next_steps) == 1
    few = [probe(1, "vanilla", [80.0], verdict="baseline"), probe(1, "r4f", [85.0], verdict="too few runs")]
    found = sequence_answer(chain(probes=few))
    assert found.use.startswith("Use vanilla, the baseline")
    assert "--seeds 5" in found.next_steps[0]

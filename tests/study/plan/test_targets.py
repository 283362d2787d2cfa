"""What a study says of the tasks that its models are scored on beside their own."""

import json

import pytest

from holdfast.errors import HoldfastError
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from holdfast.study.plan.targets import load_eval_tasks
from holdfast.study.run.study_runner import remake_results
from study import studies
from study.studies import timeless


def write(folder, name, split, rows):
    place = folder / name
    place.mkdir(exist_ok=True)
    lines = [json.dumps({"premise": f"{name} {split} {i}", "hypothesis": "it is", "label": y}) for i, y in rows]
    (place / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture
def data(tmp_path, fakes):
    """snli with a training split, scitail with test rows only, of which two also stand in snli's training rows."""
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, "snli", "train", [(i, i % 3) for i in range(30)])
    write(folder, "snli", "validation", [(i, i % 3) for i in range(9)])
    rows = [
        {"premise": f"snli train {i}" if i < 2 else f"tail {i}", "hypothesis": "it is", "label": i % 2}
        for i in range(8)
    ]
    (folder / "scitail").mkdir()
    (folder / "scitail" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    write(folder, "cb", "train", [(i, i % 3) for i in range(12)])
    write(folder, "cb", "validation", [(i, i % 3) for i in range(6)])
    return folder


def plan(data, **options):
    return prepare(from_options({"tasks": ["snli"], "methods": ["vanilla"], "seeds": 1, **options}), data)


def test_targets_tell_their_rows_metric_and_mapping(data):
    prepared = plan(data, ood=["scitail"], probed=["cb"])
    (stored,) = prepared.stored
    scitail, cb = stored.info.targets
    assert (scitail.name, scitail.kind, scitail.metric, scitail.rows, scitail.split) == (
        "scitail",
        "ood",
        "accuracy",
        8,
        "test",
    )
    assert scitail.constant_score == 50.0
    assert any("2 of its 8 rows also stand in the rows tuned on" in note for note in scitail.notes)
    assert any("not_entailment" in note for note in scitail.notes)
    assert (cb.name, cb.kind, cb.rows, cb.split) == ("cb", "probe", 6, "validation")
    reference, run = prepared.grid
    assert reference.untrained
    assert not run.untrained
    loaded = load_eval_tasks(run, data)
    for target in (*run.ood, *run.probed):
        assert loaded[target].fingerprint == target.data


def test_several_languages_have_a_mean_one_has_none(data):
    for code, rows in (("en", 6), ("sw", 4)):
        write(data, f"xnli_{code}", "test", [(i, i % 3) for i in range(rows)])
    (stored,) = plan(data, ood=["xnli_en", "scitail", "xnli_sw"]).stored
    *targets, mean = stored.info.targets
    assert [target.name for target in targets] == ["xnli_en", "scitail", "xnli_sw"]
    assert (mean.name, mean.members, mean.rows) == ("xnli, mean of 2", ["xnli_en", "xnli_sw"], 4)
    # Of six rows a third is of one class, of four rows half.
    assert mean.constant_score == pytest.approx((100 / 3 + 50) / 2)
    (alone,) = plan(data, ood=["xnli_en", "scitail"]).stored
    assert [target.name for target in alone.info.targets] == ["xnli_en", "scitail"]


def test_every_size_counts_its_own_overlap(data):
    prepared = plan(data, ood=["scitail"], train_size=[3, 30])
    assert [stored.info.task for stored in prepared.stored] == ["snli (3 rows)", "snli (30 rows)"]
    assert [(stored.info.base, stored.info.train_rows) for stored in prepared.stored] == [("snli", 3), ("snli", 30)]
    shared = [any("2 of its 8" in n for n in stored.info.targets[0].notes) for stored in prepared.stored]
    assert shared[1]
    assert not shared[0]


def test_probes_count_their_overlap_too(data):
    shared = [
        {"premise": f"snli train {i}" if i < 3 else f"cb {i}", "hypothesis": "it is", "label": i % 3} for i in range(6)
    ]
    (data / "cb" / "validation.jsonl").write_text("\n".join(map(json.dumps, shared)) + "\n")
    cb, snli = plan(data, probed=["cb", "snli"]).stored[0].info.targets
    assert "3 of its 6 rows also stand in the rows tuned on, so its scores flatter" in cb.notes
    assert not [note for note in snli.notes if "rows tuned on" in note], "its own splits share no row"


def test_a_splits_own_out_of_domain_rows_are_a_target(fakes):
    prepared = prepare(from_options({"tasks": ["playground/negation"], "methods": ["vanilla"], "seeds": 1}))
    (target,) = prepared.stored[0].info.targets
    assert (target.name, target.kind, target.split, target.rows) == ("ood", "ood", "ood", 500)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ood": ["scitail", "scitail"]}, "--ood scitail: scitail is named 'scitail' too"),
        ({"probed": ["cb", "cb"]}, "--probe cb: cb is named 'cb' too"),
        ({"probed": ["scitail"]}, "scitail"),
        ({"ood": ["nothing-like-it"]}, "nothing-like-it"),
    ],
)
def test_targets_that_cannot_work_are_refused(data, options, told):
    with pytest.raises(HoldfastError, match=told):
        plan(data, **options)


def test_a_study_whose_target_changed_is_another(data, tmp_path):
    from holdfast.study.store.run_store import Store

    before = plan(data, ood=["scitail"])
    store = Store(tmp_path / "out")
    with store.open(before.study, before.stored, before.grid):
        pass
    store.check(before.study, plan(data, ood=["scitail"]).stored)
    changed = data / "scitail" / "test.jsonl"
    changed.write_text(changed.read_text().replace("tail 5", "cat 5"))
    with pytest.raises(HoldfastError, match="the rows of task scitail have changed"):
        store.check(before.study, plan(data, ood=["scitail"]).stored)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_tasks_may_be_trained_on_probed_and_scored_out_of_domain_at_once(fakes, tmp_path, workers):
    paths = [studies.write_csv(tmp_path / f"{name}.csv", seed=seed) for seed, name in enumerate(("one", "two"))]
    tasks = [{"source": str(path), "text": "text", "label": "label"} for path in paths]
    plan = studies.prepared(paths, ood=tasks, probed=tasks, methods=["vanilla"], seeds=1, workers=workers)
    rows = {(target.kind, target.name): target.rows for target in plan.stored[0].info.targets}
    assert (rows["ood", "two"], rows["probe", "two"]) == (40, 8), "all rows, and the share held out"
    summary = studies.run(plan, tmp_path / "out")
    assert summary.errors == []
    assert timeless(remake_results(tmp_path / "out", studies.PLAIN)) == timeless(summary)


def test_too_few_rows_to_probe_with_are_told_before_anything_is_run(data):
    with pytest.raises(HoldfastError, match="task cb: --probe-rows 2: there are 3 classes"):
        plan(data, probed=["cb"], probe={"rows": 2})

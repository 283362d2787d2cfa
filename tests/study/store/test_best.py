import json
import math
from itertools import permutations

import pytest

from holdfast.study.store.best import choose, describe_best, place, prune
from holdfast.study.store.run_store import Store, write_record
from study.run_records import run_record, run_spec


def ended(store, score, method="vanilla", seed=0, task="rte", **changes):
    """A run that ended in ``store`` with a model."""
    spec = run_spec(task=task, method=method, seed=seed)
    folder = store.begin(spec)
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text(spec.id)
    record = run_record(score, spec=spec, task=task, method=method, seed=seed, selection_score=score, **changes)
    write_record(folder, record)
    return record


def models(store):
    return {path.parent.name for path in store.runs.glob("*/model")}


SCORES = {"a": 0.7, "b": 0.9, "c": 0.9, "d": None, "e": 0.2}


@pytest.mark.parametrize("order", list(permutations("abcde"))[::7])
def test_whatever_the_order_the_first_of_the_best_is_kept_at_any_time(tmp_path, order):
    store = Store(tmp_path)
    grid = [run_spec(method=method) for method in "abcde"]
    records = {}
    for method in order:
        record = ended(store, SCORES[method], method)
        records[record.id] = record
        prune(store, grid, records)
        assert len(models(store)) <= 1
    assert models(store) == {run_spec(method="b").id}


def test_models_of_runs_under_way_are_left_alone(tmp_path):
    store = Store(tmp_path)
    first = ended(store, 0.9, "a")
    running = store.begin(run_spec(method="b")) / "model"
    running.mkdir()
    prune(store, [run_spec(method="a"), run_spec(method="b")], {first.id: first})
    assert running.is_dir()


def test_a_run_on_perturbed_data_is_never_the_best_and_its_model_goes(tmp_path):
    store = Store(tmp_path)
    spec = run_spec(method="a", perturb={"seed": 3})
    folder = store.begin(spec)
    (folder / "model").mkdir()
    record = run_record(0.9, spec=spec, selection_score=0.9)
    plain = ended(store, 0.6, "a")
    grid, records = [plain.spec, spec], {plain.id: plain, record.id: record}
    prune(store, grid, records)
    assert models(store) == {plain.id}
    prune(store, [spec], {record.id: record})
    assert choose(store, [spec], {record.id: record}) == {}


def test_useless_runs_are_never_the_best(tmp_path):
    store = Store(tmp_path)
    records = [
        ended(store, 0.99, "a", diverged=True),
        ended(store, math.nan, "b"),
        ended(store, None, "c"),
        ended(store, 0.98, "d", status="error"),
        ended(store, 0.1, "e"),
    ]
    grid = [record.spec for record in records]
    assert choose(store, grid, {record.id: record for record in records}) == {("rte", None): records[-1].id}


def test_a_method_added_in_front_does_not_claim_a_tie(tmp_path):
    store = Store(tmp_path)
    old = ended(store, 0.9, "r3f")
    new = ended(store, 0.9, "vanilla")
    # As after an earlier study in which r3f came first and vanilla's equal model was let go.
    (store.runs / new.id / "model" / "config.json").unlink()
    (store.runs / new.id / "model").rmdir()
    grid = [new.spec, old.spec]
    assert choose(store, grid, {new.id: new, old.id: old}) == {("rte", None): old.id}


def test_the_best_model_is_described_in_points_and_optimism(tmp_path):
    store = Store(tmp_path)
    chosen_on = {"metrics": {"accuracy": 0.8}, "scored_split": "test"}
    tested = ended(store, 0.875, "a", task="rte", **chosen_on)
    same = ended(store, 0.6, "a", task="playground/negation", scored_split="validation")
    names = {("rte", None): "rte", ("playground/negation", None): "playground/negation"}
    records = {tested.id: tested, same.id: same}
    first, second = describe_best(store, [tested.spec, same.spec], records, names)
    assert (first.selection_score, first.score, first.optimistic) == (87.5, 80.0, False)
    assert (second.selection_score, second.score, second.optimistic) == (60.0, 60.0, True)
    assert (first.path, second.path) == ("best/rte", "best/playground-negation")


def test_names_that_look_alike_as_folders_stay_apart(tmp_path):
    store = Store(tmp_path)
    tasks = ["a/b", "a b", "../..", "a-b"]
    records = [ended(store, 0.5, task=task) for task in tasks]
    best = describe_best(store, [r.spec for r in records], {r.id: r for r in records}, {(t, None): t for t in tasks})
    paths = [entry.path for entry in best]
    assert len(set(paths)) == 4
    assert all(path.startswith("best/") and ".." not in path and path.count("/") == 1 for path in paths)


def put(store, *records):
    by_id = {record.id: record for record in records}
    names = {record.spec.dataset_key: record.task_name for record in records}
    best = describe_best(store, [record.spec for record in records], by_id, names)
    place(store, best, by_id, None, lambda entry, record, summary: f"made by {record.spec.method}")
    return best


def test_a_better_model_takes_the_place_of_the_last_with_nothing_left_over(tmp_path):
    store = Store(tmp_path)
    first = ended(store, 0.5, "a")
    put(store, first)
    (tmp_path / "best" / "stray.txt").write_text("from a program the user ran")
    second = ended(store, 0.6, "b")
    put(store, first, second)
    assert (tmp_path / "best" / "config.json").read_text() == second.id
    assert (tmp_path / "best" / "README.md").read_text() == "made by b"
    assert json.loads((tmp_path / "best" / "record.json").read_text())["id"] == second.id
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "best"}
    assert {path.name for path in (tmp_path / "best").iterdir()} == {"config.json", "README.md", "record.json"}


def test_a_card_that_cannot_be_written_leaves_the_last_best(tmp_path):
    store = Store(tmp_path)
    first = ended(store, 0.5, "a")
    best = put(store, first)

    def broken(entry, record, summary):
        raise RuntimeError("no ink")

    with pytest.raises(RuntimeError, match="no ink"):
        place(store, best, {first.id: first}, None, broken)
    assert (tmp_path / "best" / "README.md").read_text() == "made by a"


def test_file_systems_without_hard_links_get_copies(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refuse)
    record = ended(Store(tmp_path), 0.5)
    put(Store(tmp_path), record)
    assert (tmp_path / "best" / "config.json").read_text() == record.id

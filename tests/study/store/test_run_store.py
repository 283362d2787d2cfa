import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.records.run import SCHEMA
from holdfast.study.run.study_runner import remake_results
from holdfast.study.store.run_store import Store, write_record
from study import studies
from study.run_records import run_record, run_spec
from study.studies import prepared


@pytest.fixture(autouse=True)
def _fakes(fakes):
    """No study here is run; only its model need not exist."""


def opened(plan, out):
    with Store(out).open(plan.study, plan.stored, plan.grid):
        pass
    return Store(out)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_what_is_stored_is_what_was_planned(tickets, tmp_path):
    plan = prepared(tickets, seeds=[4, 2], train_size=10)
    study, tasks = opened(plan, tmp_path / "deep" / "out").load()
    assert study == plan.study
    assert tasks == plan.stored
    assert study.tasks[0].source == str(tickets)
    assert (tasks[0].info.train_rows, tasks[0].info.scored_rows) == (10, len(plan.tasks[0].splits["validation"]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "bert"}, 'model is "minilm" there and "bert" here'),
        ({"train_size": 8}, "train_size is null there and 8 here"),
        ({"settings": {"epochs": 2}}, "settings.epochs is null there and 2.0 here"),
        ({"delta": 0.5}, "delta is 1.0 there and 0.5 here"),
        ({"baseline": "r3f"}, 'baseline is "vanilla" there and "r3f" here'),
        ({"max_seeds": 8}, "max_seeds is null there and 8 here"),
        ({"methods": ["vanilla", "r4f"]}, "methods there include r3f"),
        ({"seeds": 1}, "seeds there include 1"),
        ({"data_seeds": [5, 6]}, "seeds there include 0"),
        ({"remote_code": True}, "remote_code is false there and true here"),
    ],
)
def test_another_study_is_refused_and_its_first_difference_told(tickets, tmp_path, change, told):
    store = opened(prepared(tickets), tmp_path / "out")
    before = contents(tmp_path / "out")
    plan = prepared(tickets, **change)
    with pytest.raises(HoldfastError, match="holds another study") as caught:
        opened(plan, store.folder)
    assert told in str(caught.value)
    assert "--out" in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_another_task_or_another_reading_of_it_is_another_study(tickets, tmp_path):
    opened(prepared(tickets), tmp_path / "out")
    other = studies.write_csv(tmp_path / "other.csv")
    with pytest.raises(HoldfastError, match=r"tasks is .*tickets.csv .* there and .*other.csv"):
        opened(prepared(other), tmp_path / "out")
    with pytest.raises(HoldfastError, match=r"holdout 0\.3"):
        opened(prepared(tickets, tasks=[{"source": str(tickets), "holdout": 0.3}]), tmp_path / "out")


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 3},
        {"methods": ["r4f", "r3f", "vanilla"]},
        {"workers": 3, "threads": 2},
        {"seeds": [7, 1, 0]},
        {"perturb": "data"},
    ],
)
def test_a_study_may_grow(tickets, tmp_path, change):
    opened(prepared(tickets), tmp_path / "out")
    plan = prepared(tickets, **change)
    assert opened(plan, tmp_path / "out").load()[0] == plan.study


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "perturb is data there, which may be added but not dropped"),
        ({"perturb": "data", "seeds": [7, 0, 1]}, "have the first seed, which is 0 there and 7 here"),
        ({"perturb": "data", "seeds": [1, 2]}, "seeds there include 0"),
    ],
)
def test_perturbed_data_stay_with_the_seed_they_began_with(tickets, tmp_path, change, told):
    opened(prepared(tickets, perturb="data"), tmp_path / "out")
    with pytest.raises(HoldfastError, match=told):
        opened(prepared(tickets, **change), tmp_path / "out")
    plan = prepared(tickets, perturb="data", seeds=[0, 1, 2])
    assert opened(plan, tmp_path / "out").load()[0] == plan.study


def test_the_same_files_are_the_same_study_from_another_folder(tickets, tmp_path, monkeypatch):
    held = opened(prepared(tickets), tmp_path / "out").load()
    monkeypatch.chdir(tmp_path)
    assert opened(prepared(Path("tickets.csv")), tmp_path / "out").load() == held


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tickets, tmp_path):
    plan = prepared(tickets)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("words")
    with pytest.raises(HoldfastError, match=r"not empty .*chapter.txt"):
        opened(plan, tmp_path / "thesis")
    assert contents(tmp_path / "thesis") == {Path("chapter.txt"): b"words"}
    with pytest.raises(HoldfastError, match="is a file"):
        opened(plan, tickets)


def test_a_start_that_was_killed_at_once_is_no_obstacle(tickets, tmp_path):
    plan = prepared(tickets)
    store = opened(plan, tmp_path / "out")
    (store.folder / "study.yaml").unlink()
    (store.folder / ".study.yaml.123.partial").write_text("model: mini")
    assert opened(plan, tmp_path / "out").exists


def test_a_run_counts_once_its_record_is_there(tmp_path):
    store, spec = Store(tmp_path), run_spec()
    folder = store.begin(spec)
    assert json.loads((folder / "spec.json").read_text())["seed"] == 0
    (folder / "model").mkdir()
    (folder / "predictions.npz").write_bytes(b"half")
    assert store.record(spec.id) is None
    assert {path.name for path in store.begin(spec).iterdir()} == {"spec.json"}
    record = run_record(spec=spec)
    write_record(folder, record)
    assert store.record(spec.id) == record
    store.plan([run_spec(seed=1), spec])
    assert store.records() == {spec.id: record}


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    store, spec = Store(tmp_path), run_spec()
    folder = store.begin(spec)

    def power_cut(*paths):
        raise OSError("no power")

    monkeypatch.setattr("os.replace", power_cut)
    with pytest.raises(OSError, match="no power"):
        write_record(folder, run_record(spec=spec))
    assert store.record(spec.id) is None
    assert {path.name for path in folder.iterdir()} == {"spec.json"}


def test_damage_is_told_with_its_place(tmp_path):
    store, spec = Store(tmp_path), run_spec()
    folder = store.begin(spec)
    (folder / "record.json").write_text('{"id": 3')
    with pytest.raises(HoldfastError, match=r"record\.json is damaged") as caught:
        store.record(spec.id)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_study_cannot_be_loaded(tmp_path):
    with pytest.raises(HoldfastError, match=r"holds no study \(no study.yaml in it\)"):
        Store(tmp_path).load()


HOLD = """
import sys, signal
from pathlib import Path
from holdfast.study.store.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


def test_a_study_is_locked_while_its_process_lives(tickets, tmp_path):
    plan = prepared(tickets)
    out = opened(plan, tmp_path / "out").folder
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HoldfastError, match=f"process {holder.pid} on .* is at work on this study"):
            opened(plan, out)
        holder.send_signal(signal.SIGKILL)
    opened(plan, out)


def test_a_lock_file_without_a_process_locks_nothing(tickets, tmp_path):
    plan = prepared(tickets)
    out = opened(plan, tmp_path / "out").folder
    # The number of a process that lives, as after a restart of the machine.
    (out / ".lock").write_text("process 1 on this machine")
    assert opened(plan, out).load()[0] == plan.study


@pytest.mark.parametrize("schema", [None, 2, SCHEMA + 1])
def test_runs_of_another_version_are_neither_shown_nor_mixed_with(tickets, tmp_path, schema):
    plan = prepared(tickets, workers=0)
    studies.run(plan, tmp_path / "out")
    file = tmp_path / "out" / "plan.json"
    if schema is None:
        # As it was before there were versions.
        file.unlink()
    else:
        file.write_text(json.dumps(json.loads(file.read_text()) | {"run_schema": schema, "later": 1}))
    before = contents(tmp_path / "out")
    told = rf"out holds runs of another version of Holdfast \(run schema {schema or 1}, here {SCHEMA}\)"
    for attempt in (
        lambda: studies.run(plan, tmp_path / "out"),
        lambda: Store(tmp_path / "out").check(plan.study, plan.stored),
        lambda: remake_results(tmp_path / "out", studies.PLAIN),
    ):
        with pytest.raises(HoldfastError, match=told) as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_a_plan_grows_in_the_order_of_what_is_asked_for_last_and_loses_nothing(tmp_path):
    store, specs = Store(tmp_path), [run_spec(seed=seed) for seed in range(4)]
    store.plan([specs[0], specs[3]])
    store.plan([specs[1], specs[0]])
    assert store.planned() == [specs[1], specs[0], specs[3]]


def test_the_plan_of_a_study_that_was_never_written_down_is_not_taken_over(tickets, tmp_path):
    plan, other = prepared(tickets), prepared(tickets, settings={"epochs": 2})
    store = opened(plan, tmp_path / "out")
    (store.folder / "study.yaml").unlink()
    assert opened(other, store.folder).planned() == other.grid


def test_numbers_of_rows_are_not_averaged_as_if_they_were_tasks(tmp_path, fakes):
    paths = [studies.write_csv(tmp_path / f"{name}.csv", seed=seed) for seed, name in enumerate(("one", "two"))]
    curve = studies.run(studies.prepared(paths[0], train_size=[10, 20], seeds=4, workers=0), tmp_path / "curve")
    tasks = studies.run(studies.prepared(paths, seeds=4, workers=0), tmp_path / "tasks")
    assert (curve.overall, [one.tasks for one in tasks.overall]) == ([], [2])
    assert not any("2 tasks" in sentence for sentence in curve.sentences)


def test_what_a_killed_worker_left_is_removed(tmp_path, fakes):
    out = tmp_path / "out"
    plan = studies.prepared(studies.write_csv(tmp_path / "tickets.csv"), workers=0)
    studies.run(plan, out)
    features = out / "runs" / plan.grid[0].id / "features"
    features.mkdir()
    studies.run(plan, out)
    assert not features.exists()

import pytest

from holdfast.errors import HoldfastError
from holdfast.study.define.study_file import from_options
from holdfast.study.plan.prepare import prepare
from study import studies
from study.studies import prepared


def test_what_is_known_of_a_task_is_told_in_points(fakes, tmp_path):
    rows = "text,label\n" + "".join(f"text {i},{'yes' if i % 4 else 'no'}\n" for i in range(80))
    (tmp_path / "train.csv").write_text(rows)
    (tmp_path / "test.csv").write_text("text,label\none,yes\ntwo,yes\nthree,no\nfour,yes\nfive,yes\n")
    task = {"source": str(tmp_path / "train.csv"), "test": str(tmp_path / "test.csv")}
    plan = prepare(from_options({"tasks": [task], "train_size": 20}))
    (info,) = [stored.info for stored in plan.stored]
    assert (info.task, info.metric, info.kind, info.labels) == ("train", "accuracy", "classification", ["no", "yes"])
    assert (info.train_rows, info.scored_split, info.scored_rows) == (20, "test", 5)
    assert info.constant_score == pytest.approx(80.0)
    assert "best validation accuracy" in info.selection
    assert plan.study.tasks[0].test == str(tmp_path / "test.csv")


def test_paths_are_found_from_any_folder_and_names_stay_names(fakes, tickets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "playground").mkdir()
    (tmp_path / "playground" / "negation").mkdir()
    (tmp_path / "my-model").mkdir()
    plan = prepare(from_options({"tasks": ["tickets.csv", "playground/negation"], "model": "my-model"}))
    assert [spec.source for spec in plan.study.tasks] == [str(tickets), "playground/negation"]
    assert plan.study.model == str(tmp_path / "my-model")
    assert prepare(from_options({"tasks": ["tickets.csv"]})).study.model == "minilm"


def test_tasks_that_tables_could_not_tell_apart_are_refused(fakes, tickets, tmp_path):
    (tmp_path / "old").mkdir()
    studies.write_csv(tmp_path / "old" / "tickets.csv", seed=1)
    with pytest.raises(HoldfastError, match=r"two tasks are named 'tickets': .*old/tickets.csv"):
        prepared([tickets, tmp_path / "old" / "tickets.csv"])


def test_every_method_is_checked_on_every_task_before_a_run(fakes, tickets, tmp_path, monkeypatch):
    other = studies.write_csv(tmp_path / "other.csv", seed=1)
    checked = []

    def check(spec, task):
        checked.append((task.name, spec.method))
        assert task.fingerprint == spec.data
        if (task.name, spec.method) == ("other", "r3f"):
            raise HoldfastError("r3f does not work on this model")

    monkeypatch.setattr("holdfast.training.run.check.check_run", check)
    with pytest.raises(HoldfastError, match="r3f does not work"):
        prepared([tickets, other], seeds=4)
    assert checked == [("tickets", "vanilla"), ("tickets", "r3f"), ("other", "vanilla"), ("other", "r3f")]


def test_cut_texts_are_warned_of_with_counts(fakes, tickets, monkeypatch):
    monkeypatch.setattr(
        "holdfast.training.run.preview.count_truncated",
        lambda run, task, splits: {
            option: {name: sum(word in text for text in split.texts) for name, split in splits.items()}
            for option, word in (("--max-length", "good"), ("--max-target-length", "nowhere"))
        },
    )
    plan = prepared(tickets, train_size=10, settings={"max_length": 9})
    cut = "5 of 10 train, 4 of 8 validation texts are longer than 9 tokens and are cut; see --max-length"
    assert plan.stored[0].info.warnings == [cut]


def test_nothing_is_loaded_when_the_methods_make_no_sense(fakes, tmp_path):
    with pytest.raises(HoldfastError, match="unknown method 'r6f'"):
        prepared(tmp_path / "nowhere.csv", methods=["r6f"])


def test_data_that_cannot_be_perturbed_are_refused_before_anything_runs(fakes, tmp_path):
    rows = studies.write_csv(tmp_path / "rows.csv", rows=40)
    with pytest.raises(HoldfastError, match=r"^rows: --perturb data: 10% of 4 training rows is no row"):
        studies.prepared(rows, train_size=4, perturb="data")
    text = rows.read_text() + "".join(f"rare number {row},rare\n" for row in range(2))
    rows.write_text(text)
    # Two rows of a class: one is held out for validation.
    with pytest.raises(HoldfastError, match=r"^rows: --perturb data: .* no training row of class 'rare' is left"):
        studies.prepared(rows, seeds=60, perturb="data")

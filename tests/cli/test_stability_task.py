import json

import pytest

from holdfast.records.diagnosis import Diagnosis
from study.diagnosis.tickets import write_tickets
from tiny import save_model

SMALL = ["--max-length", "16", "--batch-size", "8", "--tune-steps", "2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("stability-task") / "model")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(result):
    return " ".join(result.out.split())


@pytest.mark.slow
def test_a_task_is_measured_and_read(here, model, holdfast):
    write_tickets(here / "tickets.csv")
    found = holdfast("stability", "task", "tickets.csv", "--model", model, *SMALL, "--json", "found.json")
    assert found.code == 0, found.err
    diagnosis = Diagnosis.model_validate_json((here / "found.json").read_text())
    assert {limit.name for limit in diagnosis.limits} == {
        "too few examples",
        "small margin",
        "long distance",
        "too high a rate",
        "too few steps",
    }
    assert diagnosis.head.left_out == diagnosis.train_rows == sum(diagnosis.features.classes.values())
    assert diagnosis.full.steps == 2
    for text in ("Pre-trained features", "Head tuning", "Full tuning", "Limits", "Reading", "10 heads", "our"):
        assert text in found.out
    assert all(" ".join(sentence.split()) in told(found) for sentence in diagnosis.sentences)


def test_three_classes_a_drawn_part_and_no_full_tuning(here, model, holdfast):
    write_tickets(here / "tickets.csv", rows=90, labels=("a", "b", "c"))
    options = [
        "--model",
        model,
        "--max-length",
        "16",
        "--train-size",
        "31",
        "--tune-steps",
        "0",
        "--json",
        "found.json",
    ]
    found = holdfast("stability", "task", "tickets.csv", *options)
    assert found.code == 0, found.err
    written = json.loads((here / "found.json").read_text())
    assert (written["train_rows"], written["full"], len(written["features"]["pairs"])) == (31, None, 3)
    assert "long distance: cannot be judged" in told(found)


@pytest.mark.slow
def test_the_same_again_is_the_same(here, model, holdfast):
    write_tickets(here / "tickets.csv", rows=40)
    for name in ("one.json", "two.json"):
        assert holdfast("stability", "task", "tickets.csv", "--model", model, *SMALL, "--json", name).code == 0
    assert (here / "one.json").read_text() == (here / "two.json").read_text()


@pytest.mark.slow
def test_regression_has_no_classes(here, model, holdfast):
    texts = [line.split(",")[0] for line in write_tickets(here / "x.csv").read_text().splitlines()[1:]]
    lines = [f"{text},{row / 7}" for row, text in enumerate(texts)]
    (here / "scores.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    found = holdfast("stability", "task", "scores.csv", "--model", model, *SMALL)
    assert found.code == 0, found.err
    assert "Regression has no classes" in told(found)
    assert "too few examples: cannot be judged" in told(found)
    refused = holdfast("stability", "task", "scores.csv", "--model", model, "--max-length", 16, "--tune-steps", 0)
    assert (refused.code, refused.err.splitlines()[-1].count("--tune-steps 1")) == (2, 1)


def test_a_class_of_one_row_is_left_out(here, model, holdfast):
    write_tickets(here / "tickets.csv", rows=40)
    rows = (here / "tickets.csv").read_text() + "good bad meal film trip,rare\n"
    (here / "tickets.csv").write_text(rows)
    write_tickets(here / "held-out.csv", rows=10, seed=1)
    found = holdfast(
        "stability", "task", "tickets.csv", "--validation", "held-out.csv", "--model", model, *SMALL, "--tune-steps", 0
    )
    assert found.code == 0, found.err
    assert "Classes with a single training row are left out: rare." in told(found)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["tickts.csv"], ["tickts.csv", "did you mean 'tickets.csv'"]),
        (["study.yaml"], ["study.yaml", "one task"]),
        (["tickets.csv", "--model", "nowhere/at/all"], ["nowhere/at/all", "no such folder"]),
        (["tickets.csv", "--json", "missing/found.json"], ["--json missing/found.json", "folder that exists"]),
        (["tickets.csv", "--tune-steps", "-1"], ["'--tune-steps'"]),
        (["tickets.csv", "--max-length", "900"], ["--max-length 900", "64"]),
    ],
)
def test_mistakes_get_one_line(here, model, holdfast, arguments, parts):
    write_tickets(here / "tickets.csv")
    (here / "study.yaml").write_text("tasks: tickets.csv\n")
    if "--model" not in arguments:
        arguments = [*arguments, "--model", model]
    found = holdfast("stability", "task", *arguments)
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    for part in parts:
        assert part in found.err

"""The commands on collapse: what study each of them is, and one of them with real training."""

import json

import numpy as np
import pytest

from holdfast.study.define.study_file import load_study
from study import studies
from tiny import WORDS, save_model


@pytest.fixture
def second(tmp_path):
    return studies.write_csv(tmp_path / "letters.csv", seed=1)


def test_compare_probes_other_tasks_and_the_pretrained_model(holdfast, fakes, tickets, second, tmp_path):
    options = ["--methods", "vanilla,r3f", "--seeds", 1, "--workers", 0, "--train-size", 20, "--out", tmp_path / "out"]
    probing = ["--probe-rows", 9, "--probe-layer", 1, "--pooling", "mean"]
    done = holdfast("compare", tickets, "--probe", second, *options, *probing)
    assert done.code == 0, done.err
    study = load_study(tmp_path / "out" / "study.yaml")
    assert ([task.source for task in study.tasks], study.sequence) == ([str(tickets)], None)
    (probed,) = study.probed
    assert probed.source == str(second)
    assert (study.probe.rows, study.probe.layer, study.probe.pooling) == (9, 1, "mean")
    assert study.train_size == 20
    assert [line.split()[1:] for line in studies.begun(fakes)] == [["0"], ["vanilla", "0"], ["r3f", "0"]]


@pytest.mark.parametrize("protocol", ["chain", "cycles"])
def test_sequences_take_their_tasks_in_order(holdfast, fakes, tickets, second, tmp_path, protocol):
    out = tmp_path / "out"
    options = ["--methods", "vanilla", "--seeds", 1, "--workers", 0, "--scored-rows", 7, "--out", out]
    done = holdfast("collapse", protocol, "--source", tickets, "--chain", second, *options)
    assert done.code == 0, done.err
    study = load_study(out / "study.yaml")
    assert [task.scored_rows for task in study.tasks] == [7, 7]
    assert ([task.source for task in study.tasks], study.sequence) == ([str(tickets), str(second)], protocol)
    assert json.loads((out / "summary.json").read_text())["protocol"] == protocol
    assert "stage" in done.out
    again = holdfast("report", out)
    assert (again.code, again.out) == (0, done.out)


def test_a_plan_is_shown_before_anything_is_done(holdfast, fakes, tickets, second, tmp_path, monkeypatch):
    monkeypatch.setattr("holdfast.cli.plan.estimate", lambda *given: (_ for _ in ()).throw(OSError("not here")))
    words = ["collapse", "cycles", "--source", tickets, "--chain", second, "--methods", "vanilla,r3f", "--dry-run"]
    done = holdfast(*words, "--cycles", 2, "--out", tmp_path / "out")
    assert "25 runs: 4 stages in turn x 2 methods x 3 seeds, and the pre-trained model" in done.out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["chain", "--source", "tickets.csv", "--chain", "tickets.csv"], "two tasks are named 'tickets'"),
        (["chain", "--source", "tickets.csv"], "Missing option '--chain'"),
        (["cycles", "--source", "tickets.csv", "--chain", "letters.csv", "--cycles", "1"], "--cycles"),
        (
            ["chain", "--source", "tickets.csv", "--chain", "letters.csv", "--train-size", "many"],
            "--train-size: 'many'",
        ),
        (["chain", "--source", "tickets.csv", "--chain", "leters.csv"], "letters.csv"),
        (["chan"], "did you mean 'chain'"),
        (["chain", "--source", "study.yaml", "--chain", "letters.csv"], "study.yaml, letters.csv: a study file stands"),
        (["chain", "--source", "tickets.csv", "--chain", "letters.csv,"], "--chain 'letters.csv,': a name is missing"),
        (["chain", "--source", "tickets.csv", "--chain", "letters.csv,,x.csv"], "a name is missing"),
    ],
)
def test_mistakes_are_told_in_one_line(holdfast, fakes, tickets, second, words, told):
    tickets.with_name("study.yaml").write_text("tasks: tickets.csv\n")
    done = holdfast("collapse", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert told in done.err


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collapse")
    save_model(folder / "model")
    draw = np.random.default_rng(0)
    for name, marks in (("warmth", ("good", "fine")), ("length", ("the", "a"))):
        texts = dict.fromkeys(" ".join(draw.choice(WORDS, size=draw.integers(3, 12))) for _ in range(60))
        rows = [f"{text},{'yes' if any(mark in text.split() for mark in marks) else 'no'}" for text in texts]
        (folder / f"{name}.csv").write_text("body,label\n" + "\n".join(rows) + "\n")
    return folder


@pytest.mark.slow
def test_a_chain_is_trained_probed_and_shown(holdfast, place):
    out = place / "chain"
    options = ["--model", place / "model", "--methods", "vanilla,r4f", "--seeds", 2, "--workers", 0, "--out", out]
    training = ["--epochs", 1, "--batch-size", 8, "--max-length", 14, "--learning-rate", 1e-3]
    done = holdfast(
        "collapse", "chain", "--source", place / "warmth.csv", "--chain", place / "length.csv", *options, *training
    )
    assert done.code == 0, done.err
    summary = json.loads((out / "summary.json").read_text())
    assert [(row["stage"], row["method"], row["n"]) for row in summary["probes"]] == [
        *[(0, "", 1), (1, "vanilla", 2), (1, "r4f", 2), (2, "vanilla", 2), (2, "r4f", 2)]
    ]
    assert all(0 <= score <= 100 for row in summary["probes"] for score in row["scores"])
    assert summary["errors"] == []
    page = (out / "report.html").read_text()
    assert "<script" in page
    assert "new head" in page


@pytest.mark.slow
def test_compare_sets_scores_elsewhere_beside_its_own(holdfast, place):
    out = place / "beside"
    options = ["--model", place / "model", "--methods", "vanilla,r3f", "--seeds", 2, "--workers", 0, "--out", out]
    training = ["--epochs", 1, "--batch-size", 8, "--max-length", 14, "--learning-rate", 1e-3, "--monitor", 2]
    beside = ["--ood", place / "length.csv", "--probe", place / "length.csv", "--train-size", "20,30"]
    done = holdfast("compare", place / "warmth.csv", *options, *training, *beside)
    assert done.code == 0, done.err
    summary = json.loads((out / "summary.json").read_text())
    assert [task["task"] for task in summary["tasks"]] == ["warmth (20 rows)", "warmth (30 rows)"]
    kinds = {(row["kind"], row["target"]) for row in summary["transfer"]}
    assert kinds == {("ood", "length"), ("probe", "length")}
    assert all(row["n"] == 2 for row in summary["transfer"])
    assert {row["layer"] for row in summary["representations"]} == {0, 1, 2}
    page = (out / "report.html").read_text()
    for words in ("side by side", "Learning curve", "effective rank"):
        assert words.lower() in page.lower()
